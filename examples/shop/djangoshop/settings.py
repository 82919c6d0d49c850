"""The least that Django wants to know."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

HERE = Path(__file__).parent

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "not secret: this is an example")
INSTALLED_APPS = ["djangoshop"]
ROOT_URLCONF = "djangoshop.urls"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SHOP_DATABASE", str(HERE / "shop.sqlite3")),
        "CONN_MAX_AGE": 60,
        # In a file, because Django never closes a database in memory, and a test is about just that.
        "TEST": {"NAME": str(Path(tempfile.gettempdir()) / f"djangoshop-{os.getpid()}.sqlite3")},
    }
}
