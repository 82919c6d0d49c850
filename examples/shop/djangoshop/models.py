"""What the shop keeps."""

from __future__ import annotations

from django.db import models


class Order(models.Model):
    """An order. `receipt` is the id of the task that sent its receipt; empty before that."""

    email: models.EmailField[str, str] = models.EmailField()
    cents: models.PositiveIntegerField[int, int] = models.PositiveIntegerField()
    receipt: models.CharField[str, str] = models.CharField(max_length=128, blank=True)
    is_regular: models.BooleanField[bool, bool] = models.BooleanField(default=False)
