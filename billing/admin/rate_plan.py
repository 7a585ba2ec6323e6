"""Rate plans and their versions: a draft is filled with charges and published; then it never changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget

from aforo.tenancy.admin.buttons import Ask, button, go_to, link, page_of
from aforo.tenancy.admin.columns import COLOURS
from aforo.tenancy.admin.rows import OwnRelatedFilter, RowForm, RowInline, TenantAdmin
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant

from ..documents.version_diff import version_diff
from ..models import Charge, RatePlan, RatePlanVersion
from ..selectors.catalog import version_before
from ..services.catalog import rate_plan_create, version_archive, version_draft, version_publish
from ..services.plan_migrations import Refused, migration_preview, plan_migrate
from .base import money, number
from .prices import price_text

Status = RatePlanVersion.Status
# More at once is the command's work.
MOVED_AT_ONCE = 1000


def _proration() -> forms.ChoiceField:
    return forms.ChoiceField(
        choices=RatePlanVersion.Proration.choices,
        label="Proration",
        help_text="How a period that is cut counts: by whole local days, or exactly.",
        widget=UnfoldAdminSelectWidget,
    )


class RatePlanForm(RowForm):
    proration = _proration()


class Draft(Ask):
    proration = _proration()

    def __init__(self, *args: Any, row: RatePlan | RatePlanVersion, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        newest = (row if isinstance(row, RatePlan) else row.plan).versions.first()
        if newest is not None:
            self.fields["proration"].initial = newest.proration


class Other(Ask):
    """Another version of the same plan."""

    to = forms.TypedChoiceField(coerce=int, label="Version", widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, row: RatePlanVersion, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        others = row.plan.versions.exclude(pk=row.pk)
        self.fields["to"].choices = [(other.number, str(other)) for other in others]


class Move(Other):
    effective = forms.ChoiceField(
        choices=[("period_end", "At the end of each one's period"), ("now", "Now")],
        label="From when on",
        widget=UnfoldAdminSelectWidget,
    )


def _is_moved_from(version: RatePlanVersion) -> bool:
    """Whether there is somewhere to go."""
    return version.status != Status.DRAFT and version.plan.versions.count() > 1


def _has_no_draft(plan: RatePlan) -> bool:
    return not plan.versions.filter(status=Status.DRAFT).exists()


class VersionInline(RowInline):
    model = RatePlanVersion
    verbose_name_plural = "Versions"
    fields = readonly_fields = ("edition", "state", "proration", "published_at")
    ordering = ("-number",)

    @display(description="Version")
    def edition(self, version: RatePlanVersion) -> str:
        return format_html(
            '<a href="{}" class="text-primary-600">Version {}</a>', page_of(version), version.number
        )

    @display(description="Status", label=COLOURS)
    def state(self, version: RatePlanVersion) -> str:
        return version.status


@admin.register(RatePlan)
class RatePlanAdmin(TenantAdmin):
    form = RatePlanForm
    list_display = ("code", "name", "product", "currency", "on_sale", "draft")
    list_select_related = ("product",)
    list_filter = (("product", OwnRelatedFilter),)
    search_fields = ("code", "name")
    add_fieldsets = ((None, {"fields": ("product", ("code", "name"), ("currency", "proration"))}),)
    fieldsets = ((None, {"fields": ("product", ("code", "name"), "currency")}),)
    inlines = (VersionInline,)
    actions_detail = ("new_version",)
    empty_state = "A rate plan is a price list. It is published in versions; a subscription keeps its own."

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).prefetch_related("versions")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        tenant = tenant_of_request(request)
        own = {"currency": tenant.currency} if tenant else {}
        return {**own, **super().get_changeform_initial_data(request)}

    @display(description="On sale")
    def on_sale(self, plan: RatePlan) -> str:
        return self._edition(plan, Status.PUBLISHED)

    @display(description="Draft")
    def draft(self, plan: RatePlan) -> str:
        return self._edition(plan, Status.DRAFT)

    def _edition(self, plan: RatePlan, status: str) -> str:
        numbers = [version.number for version in plan.versions.all() if version.status == status]
        return f"version {max(numbers)}" if numbers else "–"

    @transaction.atomic
    def create(self, tenant: Tenant, *, product: Any, proration: str, **fields: Any) -> RatePlan:
        """A plan with its first draft, which is what one wants to fill next."""
        plan = rate_plan_create(tenant=tenant, product=product.code, **fields)
        version_draft(tenant=tenant, plan=plan.code, proration=proration)
        return plan

    def response_post_save_add(self, request: HttpRequest, obj: RatePlan) -> HttpResponse:
        return redirect(page_of(obj.versions.get()))

    @button(
        "New version",
        icon="add_notes",
        ask=Draft,
        offered=_has_no_draft,
        says="Makes a draft with the charges of the newest published version. Subscriptions stay on theirs.",
    )
    def new_version(self, request: HttpRequest, plan: RatePlan, proration: str) -> HttpResponse:
        return _drafted(request, plan.code, proration)


def _drafted(request: HttpRequest, plan: str, proration: str) -> HttpResponse:
    return go_to(page_of(version_draft(tenant=tenant_of_request(request), plan=plan, proration=proration)))


class ChargeInline(RowInline):
    model = Charge
    verbose_name_plural = "Charges"
    fields = readonly_fields = ("title", "model_name", "meter", "price", "included")
    ordering = ("position", "code")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        return rows.select_related("meter", "version__plan").prefetch_related("tiers")

    @display(description="Charge")
    def title(self, charge: Charge) -> str:
        return format_html('<a href="{}" class="text-primary-600">{}</a>', page_of(charge), charge.name)

    @display(description="Priced")
    def model_name(self, charge: Charge) -> str:
        return charge.get_model_display().partition(":")[0]

    @display(description="Price")
    def price(self, charge: Charge) -> str:
        return price_text(charge)

    @display(description="Included")
    def included(self, charge: Charge) -> str:
        return number(charge.included_units) if charge.included_units else "–"


@admin.register(RatePlanVersion)
class RatePlanVersionAdmin(TenantAdmin):
    list_display = ("edition", "state", "charge_count", "subscription_count", "published_at")
    list_filter = (("status", ChoicesDropdownFilter), ("plan", OwnRelatedFilter))
    search_fields = ("plan__code", "plan__name")
    ordering = ("plan__code", "-number")
    fieldsets = ((None, {"fields": (("plan", "number"), ("state", "proration"), "published_at", "changes")}),)
    readonly_fields = ("number", "state", "published_at", "changes")
    inlines = (ChargeInline,)
    actions_detail = ("add_charge", "publish", "new_version", "preview_move", "move", "archive")
    empty_state = "Versions are made on the page of their rate plan."

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request).select_related("plan")
        return rows.annotate(
            charges_counted=Count("charges", distinct=True),
            subscriptions_counted=Count("items__subscription", distinct=True),
        )

    @display(description="Version", ordering="plan__code")
    def edition(self, version: RatePlanVersion) -> str:
        return f"{version.plan.name}, version {version.number}"

    @display(description="Status", ordering="status", label=COLOURS)
    def state(self, version: RatePlanVersion) -> str:
        return version.status

    @display(description="Against the version before")
    def changes(self, version: RatePlanVersion) -> str:
        before = version_before(version)
        if before is None:
            return "It is the first."
        said = [(change.sentence,) for change in version_diff(before, version)]
        return format_html_join(mark_safe("<br>"), "{}", said) or "Every charge has the same terms."

    @display(description="Charges")
    def charge_count(self, version: RatePlanVersion) -> int:
        return version.charges_counted

    @display(description="Subscriptions")
    def subscription_count(self, version: RatePlanVersion) -> int:
        return version.subscriptions_counted

    @link("Add charge", icon="add", offered=lambda version: version.status == Status.DRAFT)
    def add_charge(self, request: HttpRequest, version: RatePlanVersion) -> HttpResponse:
        return redirect(f"{reverse('admin:billing_charge_add')}?{urlencode({'version': version.pk})}")

    @button(
        "Publish",
        icon="publish",
        variant=ActionVariant.PRIMARY,
        offered=lambda version: version.status == Status.DRAFT,
        says="From now on it is sold, and neither it nor its charges ever change; a change is a new version.",
    )
    def publish(self, request: HttpRequest, version: RatePlanVersion) -> str:
        done = version_publish(
            tenant=tenant_of_request(request), plan=version.plan.code, version=version.number
        )
        return (
            f"Version {done.number} of {version.plan} is published; put the plan into an offering to sell it."
        )

    @button(
        "New version",
        icon="add_notes",
        ask=Draft,
        offered=lambda version: version.status != Status.DRAFT and _has_no_draft(version.plan),
        says="Makes a draft with the charges of the newest published version. Subscriptions stay on theirs.",
    )
    def new_version(self, request: HttpRequest, version: RatePlanVersion, proration: str) -> HttpResponse:
        return _drafted(request, version.plan.code, proration)

    @button(
        "Preview a move",
        icon="compare_arrows",
        ask=Other,
        offered=_is_moved_from,
        says="Bills the last full period of each subscription on this version under the other one, and keeps nothing.",
    )
    def preview_move(self, request: HttpRequest, version: RatePlanVersion, to: int) -> str:
        preview = migration_preview(
            tenant=tenant_of_request(request),
            plan=version.plan.code,
            version=version.number,
            to=to,
            subscriptions_max=MOVED_AT_ONCE,
        )
        before, after = (money(amount, preview.currency) for amount in (preview.before, preview.after))
        furthest = max(preview.effects, key=lambda effect: abs(effect.delta), default=None)
        said = f"Subscriptions: {len(preview.effects)}. They come to {after} under version {to}, and to {before} as they are: "
        said += f"{preview.winners} pay less, {preview.losers} more."
        if furthest is not None and furthest.delta:
            said += f" The furthest is {furthest.subscription} by {money(furthest.delta, preview.currency)}."
        return said + _refused(preview.refused)

    @button(
        "Move subscriptions",
        icon="move_up",
        ask=Move,
        offered=_is_moved_from,
        says="Every subscription on this version holds the other one from then on. Issued invoices stay as they are.",
    )
    def move(self, request: HttpRequest, version: RatePlanVersion, to: int, effective: str) -> str:
        done = plan_migrate(
            tenant=tenant_of_request(request),
            plan=version.plan.code,
            version=version.number,
            to=to,
            is_at_period_end=effective == "period_end",
            subscriptions_max=MOVED_AT_ONCE,
        )
        return f"Moved to version {to}: {done.migrated}." + _refused(done.refused)

    @button(
        "Archive",
        icon="archive",
        offered=lambda version: version.status == Status.PUBLISHED,
        says="It is sold no more; subscriptions on it keep it.",
    )
    def archive(self, request: HttpRequest, version: RatePlanVersion) -> str:
        version_archive(tenant=tenant_of_request(request), plan=version.plan.code, version=version.number)
        return f"Version {version.number} of {version.plan} is archived."


def _refused(refused: Sequence[Refused]) -> str:
    """What a sentence adds about those that cannot: the first, and how many there are."""
    if not refused:
        return ""
    return f" {len(refused)} cannot, such as {refused[0].subscription}: {refused[0].sentence}"
