"""Addresses of customers and API keys under /v1/."""

from django.urls import path

from .api.api_keys import ApiKeyRevokeView, ApiKeyRotateView, ApiKeysView, ApiKeyView
from .api.customers import CustomersView, CustomerView

urlpatterns = [
    path("customers", CustomersView.as_view(), name="customers"),
    path("customers/<path:external_id>", CustomerView.as_view(), name="customer"),
    path("api-keys", ApiKeysView.as_view(), name="api-keys"),
    path("api-keys/<uuid:key_id>", ApiKeyView.as_view(), name="api-key"),
    path("api-keys/<uuid:key_id>/rotate", ApiKeyRotateView.as_view(), name="api-key-rotate"),
    path("api-keys/<uuid:key_id>/revoke", ApiKeyRevokeView.as_view(), name="api-key-revoke"),
]
