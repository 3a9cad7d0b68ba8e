"""How Django reaches the gateway."""

from common import DATABASE, HOST, PASSWORD, PORT, USER


def databases():
    return {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": HOST,
            "PORT": PORT,
            "USER": USER,
            "PASSWORD": PASSWORD,
            "NAME": DATABASE,
            "CONN_HEALTH_CHECKS": True,
            "CONN_MAX_AGE": None,
        }
    }
