"""Django: connection, inspectdb, models over existing tables, and writes that are denied."""

import io
import sys

import django
from django.conf import settings
from django.db import DatabaseError, connection, models, transaction
from django.db.models import Avg, Count, F

from common import check, denied, writes
from django_settings import databases

sys.modules["library"] = sys.modules[__name__]
settings.configure(
    DATABASES=databases(), INSTALLED_APPS=["library"], DEFAULT_AUTO_FIELD="django.db.models.AutoField", USE_TZ=True
)
django.setup()


class Author(models.Model):
    name = models.TextField()
    email = models.CharField(max_length=80, null=True)
    mood = models.TextField()
    born = models.DateField(null=True)
    extra = models.JSONField(default=dict)

    class Meta:
        app_label = "library"
        managed = False
        db_table = "authors"


class Book(models.Model):
    title = models.TextField()
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")
    price = models.DecimalField(max_digits=10, decimal_places=2, null=True)
    added = models.DateTimeField()

    class Meta:
        app_label = "library"
        managed = False
        db_table = "books"


def inspected():
    from django.core.management import call_command

    output = io.StringIO()
    call_command("inspectdb", "--include-views", stdout=output)
    return output.getvalue()


models_text = inspected()
check("class Books(models.Model)" in models_text and "class BookList(models.Model)" in models_text, models_text)
check("author = models.ForeignKey(Authors" in models_text and "# The error" not in models_text, models_text)
check("Unable to inspect" not in models_text, models_text)
with connection.cursor() as cursor:
    constraints = connection.introspection.get_constraints(cursor, "books")
    check(constraints["books_author_id_fkey"]["foreign_key"] == ("authors", "id"), constraints)
    check(connection.introspection.get_sequences(cursor, "books", [Book._meta.pk])[0]["name"] == "books_id_seq")
    check(connection.introspection.get_primary_key_columns(cursor, "books") == ["id"])

check(Book.objects.filter(price__gt=50, author__name__startswith="Author").count() == 50)
check(Book.objects.filter(title__iexact="book 7").get().author.name == "Author 8")
check(Book.objects.filter(title__iregex=r"^book [0-9]$").exists())
check(not any("example.org" in email for email in Author.objects.order_by("name").values_list("email", flat=True)))
counts = Author.objects.annotate(sold=Count("books"), mean=Avg("books__price")).filter(sold=5).order_by(F("mean").desc())
check(len(counts) == 20)
check(len(Author.objects.prefetch_related("books").filter(extra__rank__lte=3)) == 3)
check(Author.objects.filter(extra__has_key="rank").count() == 20)
check(len(list(Book.objects.order_by("id").iterator(chunk_size=30))) == 100)
check(Book.objects.filter(added__year__gte=2000).dates("added", "month").count() == 1)
check("Scan" in Book.objects.filter(price__gt=3).explain())
with transaction.atomic(), transaction.atomic():
    check(Book.objects.select_related("author").get(pk=1).author.pk == 2)

book = Book.objects.get(pk=1)
denied(Author.objects.create)
denied(book.save)
denied(book.delete)
try:
    Book.objects.filter(price__gt=50).update(price=1)
    raise SystemExit("an UPDATE passed")
except DatabaseError as error:
    check("sluice" in str(error), error)
try:
    with transaction.atomic():
        Book.objects.select_for_update().get(pk=1)
    raise SystemExit("FOR UPDATE passed")
except DatabaseError as error:
    check("sluice" in str(error), error)
with connection.schema_editor(atomic=False) as editor:
    denied(editor.delete_model, Book)
for sql in writes():
    with connection.cursor() as cursor:
        denied(cursor.execute, sql)
        cursor.execute("SELECT 7")
        check(cursor.fetchone() == (7,), sql)
check(Book.objects.count() == 100)
connection.close()
print("ok")
