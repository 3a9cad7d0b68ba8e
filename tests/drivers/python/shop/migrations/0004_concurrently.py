"""What cannot be done in a transaction."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("shop", "0003_changes")]
    operations = [AddIndexConcurrently("Product", models.Index(fields=["owner", "price"], name="product_owner"))]
