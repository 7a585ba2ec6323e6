"""Addresses of metering under /v1/."""

urlpatterns: list = []
