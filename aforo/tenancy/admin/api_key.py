"""API keys: the secret is shown once, when a key is made or rotated."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from ..models import SCOPES, ApiKey, Tenant
from ..services.api_keys import api_key_create, api_key_revoke, api_key_rotate
from .buttons import button
from .columns import COLOURS, ago
from .rows import TenantAdmin
from .secrets import Rotation, secret_answer
from .workspace import tenant_of_request


def _can_rotate(key: ApiKey) -> bool:
    return key.revoked_at is None and key.expires_at is None


@admin.register(ApiKey)
class ApiKeyAdmin(TenantAdmin):
    own_name = "name"
    list_display = ("masked", "name", "scope_list", "created_at", "last_used", "expires_at", "state_label")
    list_select_related = ("tenant",)
    search_fields = ("name", "public_id")
    fieldsets = ((None, {"fields": ("name", "scopes", "rate_limit_per_s")}),)
    actions_detail = ("rotate", "revoke")
    empty_state = "A gateway, an SDK or a script proves with a key whose events it sends. Make the first one."

    def get_fieldsets(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        if obj is None:
            return self.fieldsets
        facts = ("masked", "name", "state_label", "scope_list", "rate_limit_per_s")
        return ((None, {"fields": facts}), ("Times", {"fields": ("created_at", "last_used", "expires_at")}))

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return ("masked", "state_label", "scope_list", "created_at", "last_used")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name != "scopes":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        return forms.MultipleChoiceField(
            choices=list(SCOPES.items()), initial=list(SCOPES), widget=UnfoldAdminCheckboxSelectMultipleWidget
        )

    @display(description="Key", ordering="public_id")
    def masked(self, key: ApiKey) -> str:
        return key.masked

    @display(description="Scopes")
    def scope_list(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @display(description="Last used", ordering="last_used_at")
    def last_used(self, key: ApiKey) -> str:
        return ago(key.last_used_at)

    @display(description="State", label=COLOURS)
    def state_label(self, key: ApiKey) -> str:
        return key.state

    def create(self, tenant: Tenant, **fields: Any) -> ApiKey:
        key, text = api_key_create(tenant=tenant, **fields)
        key.text = text  # type: ignore[attr-defined]
        return key

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: Any = None) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "title": "API key made", "opts": self.opts}
        return _shown(request, "page", obj.name, obj.text, **context)

    @button(
        "Rotate",
        icon="autorenew",
        ask=Rotation,
        offered=_can_rotate,
        says="Makes a new key with the same scopes; move your clients to it while the old one still works.",
    )
    def rotate(self, request: HttpRequest, key: ApiKey, overlap_h: int) -> HttpResponse:
        new, text = api_key_rotate(
            tenant=tenant_of_request(request), key_id=key.pk, overlap=timedelta(hours=overlap_h)
        )
        return _shown(request, "dialog", f"{new.masked} follows", text)

    @button(
        "Revoke",
        icon="block",
        variant=ActionVariant.DANGER,
        offered=lambda key: key.state != "REVOKED",
        says="Requests with this key are refused within a second, for good.",
    )
    def revoke(self, request: HttpRequest, key: ApiKey) -> str:
        return f"{api_key_revoke(tenant=tenant_of_request(request), key_id=key.pk).masked} is revoked."


def _shown(
    request: HttpRequest, frame: Literal["page", "dialog"], heading: str, text: str, **context: Any
) -> HttpResponse:
    back = reverse("admin:tenancy_apikey_changelist")
    inside = "tenancy/api_key_once.html"
    return secret_answer(request, frame, heading=heading, inside=inside, back=back, text=text, **context)
