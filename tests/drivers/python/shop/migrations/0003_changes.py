"""Columns, indexes and a block of PL/pgSQL."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_rows")]
    operations = [
        migrations.AddField("Product", "facts", models.JSONField(default=dict)),
        migrations.AlterField("Product", "name", models.CharField(max_length=80, unique=True)),
        migrations.AddIndex("Product", models.Index(fields=["name", "price"], name="product_name_price")),
        migrations.AddConstraint(
            "Product", models.CheckConstraint(condition=models.Q(price__gte=0), name="product_price")
        ),
        migrations.RunSQL(
            """
            SELECT pg_advisory_xact_lock(hashtext('shop'));
            DO $$
            BEGIN
                IF NOT EXISTS (SELECT FROM pg_class WHERE relname = 'shop_cheap') THEN
                    CREATE VIEW shop_cheap AS SELECT name FROM shop_product WHERE price < 5;
                END IF;
            END $$;
            COMMENT ON VIEW shop_cheap IS 'what costs little';
            """,
            "DROP VIEW shop_cheap",
        ),
    ]
