"""Django's `migrate` of its own applications and of one of ours, up and down, and what migrations may not do."""

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from common import check, denied
from django_settings import databases

settings.configure(
    DATABASES=databases(),
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

call_command("migrate", verbosity=0, interactive=False)
call_command("migrate", verbosity=0, interactive=False, check_unapplied=True)
with connection.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM shop_cheap")
    check(cursor.fetchone() == (4,))
    cursor.execute("SELECT count(*) FROM auth_permission")
    check(cursor.fetchone()[0] > 10)
from shop.models import Product

check(Product.objects.get(name="Product 3").price == 4)
with connection.cursor() as cursor:
    denied(cursor.execute, "CREATE ROLE mallory LOGIN SUPERUSER")
    denied(cursor.execute, "ALTER TABLE shop_product OWNER TO pg_monitor")
call_command("migrate", "shop", "zero", verbosity=0, interactive=False)
call_command("flush", verbosity=0, interactive=False)
for app in ("auth", "sessions", "contenttypes"):
    call_command("migrate", app, "zero", verbosity=0, interactive=False)
with connection.cursor() as cursor:
    cursor.execute("DROP TABLE django_migrations")
    check(connection.introspection.table_names() == [], connection.introspection.table_names())
connection.close()
print("ok")
