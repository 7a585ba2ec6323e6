"""Addresses of entitlements under /v1/."""

from django.urls import path

from .api.feed import ChangesView

urlpatterns = [
    path("edge/changes", ChangesView.as_view(), name="edge-changes"),
]
