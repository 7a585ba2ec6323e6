"""Webhook sources: the secret is shown once, when a source is made or rotated."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display
from unfold.enums import ActionVariant

from aforo.tenancy.admin.buttons import button
from aforo.tenancy.admin.columns import COLOURS, ago
from aforo.tenancy.admin.rows import TenantAdmin
from aforo.tenancy.admin.secrets import Rotation, secret_answer
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant

from ..models import WebhookSource
from ..selectors.event_log import log_for
from ..services.webhook_sources import (
    webhook_source_create,
    webhook_source_revoke,
    webhook_source_rotate,
    webhook_source_update,
)

DELIVERED_SHOWN = 20

LABELS = {"tolerance_s": "Tolerance in seconds", "rate_limit_per_s": "Deliveries a second"}


@admin.register(WebhookSource)
class WebhookSourceAdmin(TenantAdmin):
    own_name = "name"
    fixed_fields = ("scheme",)
    list_display = ("name", "address", "scheme", "created_at", "last_used", "state_label")
    search_fields = ("name", "public_id")
    add_fieldsets = (
        (None, {"fields": ("name", "scheme")}),
        ("What its payloads say", {"fields": ("mapping",)}),
        ("Limits", {"fields": (("tolerance_s", "rate_limit_per_s"),)}),
    )
    fieldsets = (
        (None, {"fields": ("name", "address", ("scheme", "state_label"))}),
        ("What its payloads say", {"fields": ("mapping",)}),
        ("Limits", {"fields": (("tolerance_s", "rate_limit_per_s"),)}),
        ("Times", {"fields": (("created_at", "last_used"), "secret_before_until")}),
    )
    readonly_fields = ("address", "state_label", "created_at", "last_used", "secret_before_until")
    actions_detail = ("rotate", "revoke")
    change_form_outer_after_template = "metering/admin/webhook_source.html"
    empty_state = "Another system posts its own payloads here and signs them; no API key is needed. Make the first source."

    def get_fieldsets(self, request: HttpRequest, obj: WebhookSource | None = None) -> Any:
        return self.fieldsets if obj is not None else self.add_fieldsets

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in LABELS:
            field.label = LABELS[db_field.name]
        if db_field.name == "mapping":
            field.help_text = (
                'Our field to a path in the payload, or to =text: {"customer_id": "data.account", "metric": "=api.call"}. '
                "Empty: the payloads use our own names."
            )
        return field

    @display(description="Address")
    def address(self, source: WebhookSource) -> str:
        return f"/v1/ingest/webhook/{source.public_id}"

    @display(description="Last used", ordering="last_used_at")
    def last_used(self, source: WebhookSource) -> str:
        return ago(source.last_used_at)

    @display(description="State", label=COLOURS)
    def state_label(self, source: WebhookSource) -> str:
        return "ACTIVE" if source.is_active else "REVOKED"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        source = self.get_object(request, object_id)
        tenant = tenant_of_request(request)
        name = f"webhook:{source.public_id}"
        context = {
            "delivered": log_for(tenant, limit=DELIVERED_SHOWN, source=name),
            "delivered_source": name,
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def create(self, tenant: Tenant, **fields: Any) -> WebhookSource:
        source, secret = webhook_source_create(tenant=tenant, **fields)
        source.secret = secret  # type: ignore[attr-defined]
        return source

    def update(self, tenant: Tenant, row: WebhookSource, **changes: Any) -> WebhookSource:
        return webhook_source_update(tenant=tenant, source_id=row.pk, **changes)

    def response_add(
        self, request: HttpRequest, obj: WebhookSource, post_url_continue: Any = None
    ) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "title": "Webhook source made", "opts": self.opts}
        return _shown(request, "page", obj.name, obj, obj.secret, **context)

    @button(
        "Rotate",
        icon="autorenew",
        ask=Rotation,
        offered=lambda source: source.is_active,
        says="Makes a new secret; give it to the other system while the old one still verifies.",
    )
    def rotate(self, request: HttpRequest, source: WebhookSource, overlap_h: int) -> HttpResponse:
        source, secret = webhook_source_rotate(
            tenant=tenant_of_request(request), source_id=source.pk, overlap=timedelta(hours=overlap_h)
        )
        return _shown(request, "dialog", f"{source.name} has a new secret", source, secret)

    @button(
        "Revoke",
        icon="block",
        variant=ActionVariant.DANGER,
        offered=lambda source: source.is_active,
        says="Deliveries to its address are refused from now on, for good.",
    )
    def revoke(self, request: HttpRequest, source: WebhookSource) -> str:
        revoked = webhook_source_revoke(tenant=tenant_of_request(request), source_id=source.pk)
        return f"{revoked.name} is revoked."


def _shown(
    request: HttpRequest,
    frame: Literal["page", "dialog"],
    heading: str,
    source: WebhookSource,
    secret: str,
    **context: Any,
) -> HttpResponse:
    back = reverse("admin:metering_webhooksource_changelist")
    context |= {"source": source, "secret": secret}
    inside = "metering/admin/webhook_secret_once.html"
    return secret_answer(request, frame, heading=heading, inside=inside, back=back, **context)
