"""The app that `INSTALLED_APPS` names."""

from __future__ import annotations

from django.apps import AppConfig


class DjangoShop(AppConfig):
    """Its models have no migrations: an example starts with an empty database."""

    name = "djangoshop"
    default_auto_field = "django.db.models.BigAutoField"
