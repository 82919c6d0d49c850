"""What a worker imports: Django must be set up before any model is.

ferryman worker djangoshop --app djangoshop.worker
"""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "djangoshop.settings")
django.setup()

from djangoshop.tasks import queue  # noqa: E402

__all__ = ["queue"]
