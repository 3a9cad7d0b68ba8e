"""The first table."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.CreateModel(
            "Product",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.CharField(max_length=40, unique=True)),
                ("price", models.DecimalField(max_digits=10, decimal_places=2, db_index=True)),
                (
                    "owner",
                    models.ForeignKey(
                        settings.AUTH_USER_MODEL, null=True, on_delete=django.db.models.deletion.SET_NULL
                    ),
                ),
            ],
        ),
    ]
