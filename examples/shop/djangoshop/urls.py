"""The one address."""

from __future__ import annotations

from django.urls import path

from djangoshop.views import place_order

urlpatterns = [path("orders", place_order)]
