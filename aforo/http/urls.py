"""Addresses of customers, API keys and the audit under /v1/."""

from django.urls import path

from .api.api_keys import ApiKeyRevokeView, ApiKeyRotateView, ApiKeysView, ApiKeyView
from .api.audit import AuditView
from .api.customers import CustomersView, CustomerView

urlpatterns = [
    path("customers", CustomersView.as_view(), name="customers"),
    path("customers/<path:external_id>", CustomerView.as_view(), name="customer"),
    path("api-keys", ApiKeysView.as_view(), name="api-keys"),
    path("api-keys/<uuid:key_id>", ApiKeyView.as_view(), name="api-key"),
    path("api-keys/<uuid:key_id>/rotate", ApiKeyRotateView.as_view(), name="api-key-rotate"),
    path("api-keys/<uuid:key_id>/revoke", ApiKeyRevokeView.as_view(), name="api-key-revoke"),
    path("audit", AuditView.as_view(), name="audit"),
]
