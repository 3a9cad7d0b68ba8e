"""A Django application whose tables the migrations make."""

from django.conf import settings
from django.db import models


class Product(models.Model):
    name = models.CharField(max_length=80, unique=True)
    price = models.DecimalField(max_digits=10, decimal_places=2, db_index=True)
    facts = models.JSONField(default=dict)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)

    class Meta:
        app_label = "shop"
        indexes = [models.Index(fields=["name", "price"], name="product_name_price")]
        constraints = [models.CheckConstraint(condition=models.Q(price__gte=0), name="product_price")]
