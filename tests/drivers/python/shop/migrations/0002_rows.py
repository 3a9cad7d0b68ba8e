"""Rows, in a migration of their own: with deferred foreign keys their checks wait for its end."""

from django.db import migrations, models


def fill(apps, editor):
    product = apps.get_model("shop", "Product")
    product.objects.bulk_create(product(name=f"Product {number}", price=number) for number in range(20))
    product.objects.update(price=models.F("price") + 1)


def empty(apps, editor):
    apps.get_model("shop", "Product").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.RunPython(fill, empty)]
