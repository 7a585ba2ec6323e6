"""Bearer keys: the key names the tenant; a tenant header is an assertion to compare, never a selector."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from aforo.kernel.errors import Problem
from aforo.tenancy.services.api_keys import KeyHolder, api_key_recognise


def key_holder(authorization: str | None, tenant_header: str | None) -> KeyHolder:
    """Who the request acts for.

    Raises Problem key_missing, key_unknown, key_revoked or tenant_mismatch.
    """
    if not authorization:
        raise Problem("key_missing", "The header Authorization is missing.")
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise Problem("key_missing", "The header Authorization is not of the form `Bearer sk_live_…`.")
    holder = api_key_recognise(text)
    if tenant_header is not None and tenant_header.strip() != holder.tenant.slug:
        raise Problem(
            "tenant_mismatch", f"X-Tenant-Id says {tenant_header!r}, which is not the key's tenant."
        )
    return holder


def scope_demand(holder: KeyHolder, scope: str) -> None:
    """Raises Problem scope_missing where the key does not carry the scope."""
    if scope not in holder.scopes:
        raise Problem("scope_missing", f"This call needs a key with the scope {scope!r}.", scope=scope)


class ApiKeyAuthentication(BaseAuthentication):
    """Sets request.user to the KeyHolder; views take the tenant from there."""

    def authenticate(self, request: Request) -> tuple[KeyHolder, None]:
        return key_holder(request.headers.get("Authorization"), request.headers.get("X-Tenant-Id")), None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="aforo"'


class HasScope(BasePermission):
    """The key carries the scope that the view names for this method: `scopes = {"GET": "read", "POST": "write"}`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method == "OPTIONS":
            return True
        if request.method not in view.allowed_methods:
            return True  # the answer is 405, which DRF gives after this check
        scope_demand(request.user, view.scopes["GET" if request.method == "HEAD" else request.method])
        return True
