"""What the workers of a Django project run, whatever its queues are called:

DJANGO_SETTINGS_MODULE=acme.settings ferryman worker default --app ferryman.django.app
"""

from __future__ import annotations

import django

django.setup()  # before any model is imported

from ferryman.django.discovery import find_queues  # noqa: E402

# --app finds queues among a module's attributes.
globals().update({f"queue_{queue.name}": queue for queue in find_queues()})
