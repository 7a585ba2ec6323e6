"""Addresses of billing under /v1/."""

urlpatterns: list = []
