"""Subscriptions: a customer on an offering; moved, cancelled and given coupons by buttons."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSingleDateWidget, UnfoldAdminTextInputWidget

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.periods import local_midnight
from aforo.tenancy.admin.buttons import Ask, button, link, page_of
from aforo.tenancy.admin.columns import COLOURS
from aforo.tenancy.admin.decimals import PlainDecimal
from aforo.tenancy.admin.filters import CustomerFilter
from aforo.tenancy.admin.rows import OwnRelatedFilter, RowForm, RowInline, TenantAdmin
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant

from ..documents.invoice import invoice_html
from ..models import (
    Coupon,
    CouponRedemption,
    Offering,
    RatePlanVersion,
    Subscription,
    SubscriptionItem,
    SubscriptionPhase,
)
from ..models.catalog import TRIAL_DAYS_MAX
from ..models.subscription import ENDED, LEGAL_MOVES, SubscriptionState
from ..services.coupons import coupon_attach
from ..services.invoices import invoice_preview
from ..services.subscription_items import subscription_add, subscription_change
from ..services.subscriptions import subscription_cancel, subscription_create, subscription_move


class SubscriptionForm(RowForm):
    plan_version = forms.ModelChoiceField(
        queryset=RatePlanVersion.objects.none(),
        required=False,
        empty_label="The newest of what the offering has",
        help_text="Pinned: later versions do not change this subscription. A bundle is sold with all of its plans.",
        widget=UnfoldAdminSelectWidget,
    )
    quantity = PlainDecimal(required=False, min_value=0, help_text="How often the fees are due; empty: once.")
    trial_days = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=TRIAL_DAYS_MAX,
        widget=UnfoldAdminTextInputWidget,
        help_text="Days of which nothing is billed; empty: the offering's.",
    )
    starts_on = forms.DateField(
        required=False,
        widget=UnfoldAdminSingleDateWidget,
        help_text="First billed day in the customer's zone; empty: today.",
    )
    anchor_on = forms.DateField(
        required=False,
        widget=UnfoldAdminSingleDateWidget,
        help_text="Its day of month begins each period; empty: the first billed day, or the calendar's.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "plan_version" in self.fields:
            on_sale = RatePlanVersion.objects.of(self.tenant).filter(status=RatePlanVersion.Status.PUBLISHED)
            self.fields["plan_version"].queryset = on_sale.select_related("plan")


def _reason() -> forms.CharField:
    return forms.CharField(max_length=200, required=False, widget=UnfoldAdminTextInputWidget)


class Move(Ask):
    to = forms.ChoiceField(label="New state", widget=UnfoldAdminSelectWidget)
    reason = _reason()

    def __init__(self, *args: Any, row: Subscription, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        legal = LEGAL_MOVES[row.state]
        self.fields["to"].choices = [
            choice
            for choice in SubscriptionState.choices
            if choice[0] in legal - {SubscriptionState.CANCELLED}
        ]


class Change(Ask):
    item = forms.ModelChoiceField(
        label="What it holds", queryset=SubscriptionItem.objects.none(), widget=UnfoldAdminSelectWidget
    )
    plan_version = forms.ModelChoiceField(
        label="To be held",
        required=False,
        queryset=RatePlanVersion.objects.none(),
        empty_label="As before",
        widget=UnfoldAdminSelectWidget,
    )
    quantity = PlainDecimal(required=False, min_value=0, help_text="Empty: as before.")
    starts_on = forms.DateField(
        required=False,
        label="First day of it",
        help_text="In the customer's zone; empty: now.",
        widget=UnfoldAdminSingleDateWidget,
    )

    def __init__(self, *args: Any, row: Subscription, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        items = row.items.filter(ends_at=None).select_related("plan_version__plan")
        self.fields["item"].queryset = items
        self.fields["item"].initial = items.first()
        self.fields["plan_version"].queryset = RatePlanVersion.objects.filter(
            plan__in=row.offering.plans.values("plan"), status=RatePlanVersion.Status.PUBLISHED
        ).select_related("plan")


class AddOn(Ask):
    offering = forms.ModelChoiceField(
        label="Add-on", queryset=Offering.objects.none(), widget=UnfoldAdminSelectWidget
    )
    quantity = PlainDecimal(required=False, min_value=0, help_text="How often its fees are due; empty: once.")
    starts_on = forms.DateField(
        required=False,
        label="First day of it",
        help_text="In the customer's zone; empty: now.",
        widget=UnfoldAdminSingleDateWidget,
    )

    def __init__(self, *args: Any, row: Subscription, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        self.fields["offering"].queryset = Offering.objects.of(row.tenant).filter(kind=Offering.Kind.ADDON)


class Cancellation(Ask):
    ends_on = forms.DateField(
        required=False,
        label="First day without it",
        help_text="In the customer's zone; empty: now.",
        widget=UnfoldAdminSingleDateWidget,
    )
    reason = _reason()


class CouponChoice(Ask):
    coupon = forms.ModelChoiceField(queryset=Coupon.objects.none(), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, row: Subscription, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        self.fields["coupon"].queryset = Coupon.objects.of(row.tenant)


def _is_running(subscription: Subscription) -> bool:
    return subscription.state not in ENDED


class ItemInline(RowInline):
    model = SubscriptionItem
    verbose_name_plural = "Timeline"
    fields = readonly_fields = ("plan_version", "quantity", "starts_at", "ends_at", "trial_ends_at")


class PhaseInline(RowInline):
    model = SubscriptionPhase
    verbose_name_plural = "Phases"
    fields = readonly_fields = ("moved_at", "before", "after", "reason")


class CouponInline(RowInline):
    model = CouponRedemption
    verbose_name_plural = "Coupons"
    fields = readonly_fields = ("coupon", "redeemed_at")


def preview_page(request: HttpRequest, subscription: Subscription, *, shown_on: Model) -> HttpResponse:
    """The invoice of the present period as it would be; or the row's page, which says why there is none."""
    try:
        document = invoice_preview(tenant=tenant_of_request(request), subscription_code=subscription.code)
    except Problem as problem:
        messages.error(request, problem.detail)
        return redirect(page_of(shown_on))
    return HttpResponse(invoice_html(document.invoice, document.lines, document.taxes))


@admin.register(Subscription)
class SubscriptionAdmin(TenantAdmin):
    form = SubscriptionForm
    renamed = {"plan": "plan_version", "version": "plan_version", "starts_at": "starts_on"}
    list_display = ("code", "customer", "offering", "holds", "state_label", "starts_at", "ends_at")
    list_select_related = ("customer", "offering")
    list_filter = (("state", ChoicesDropdownFilter), ("offering", OwnRelatedFilter), CustomerFilter)
    list_filter_submit = True
    search_fields = ("code", "customer__external_id", "customer__name")
    autocomplete_fields = ("customer",)
    add_fieldsets = (
        (
            None,
            {
                "fields": (
                    "code",
                    "customer",
                    ("offering", "plan_version"),
                    ("quantity", "trial_days"),
                    ("starts_on", "anchor_on"),
                )
            },
        ),
    )
    fieldsets = (
        (None, {"fields": (("code", "state_label"), "customer", "offering")}),
        ("Periods", {"fields": (("starts_at", "ends_at"), ("interval", "anchor_on"))}),
    )
    readonly_fields = ("state_label",)
    inlines = (ItemInline, CouponInline, PhaseInline)
    actions_detail = ("preview", "change_plan", "add_offering", "attach_coupon", "move", "cancel")
    empty_state = "A subscription puts a customer on an offering; from its start its usage is billed."

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).prefetch_related("items__plan_version__plan")

    @display(description="Holds")
    def holds(self, subscription: Subscription) -> str:
        """The versions held now; before its start and after its end, the last ones."""
        at = min(max(now(), subscription.starts_at), subscription.ends_at or now())
        held = [
            str(item.plan_version)
            for item in subscription.items.all()
            if item.starts_at <= at and (item.ends_at is None or at <= item.ends_at)
        ]
        return ", ".join(dict.fromkeys(held)) or "–"

    @display(description="State", ordering="state", label=COLOURS)
    def state_label(self, subscription: Subscription) -> str:
        return subscription.state

    def create(
        self, tenant: Tenant, *, customer: Any, offering: Any, plan_version: Any, **fields: Any
    ) -> Subscription:
        pinned = (
            {"plan": plan_version.plan.code, "version": plan_version.number}
            if plan_version is not None
            else {}
        )
        given = {name: value for name, value in fields.items() if value is not None}
        return subscription_create(
            tenant=tenant, customer=customer.external_id, offering=offering.code, **pinned, **given
        )

    @link("Preview", icon="preview")
    def preview(self, request: HttpRequest, subscription: Subscription) -> HttpResponse:
        return preview_page(request, subscription, shown_on=subscription)

    @button(
        "Change",
        icon="tune",
        ask=Change,
        offered=_is_running,
        says="Goes on with another plan, version or quantity; fees are billed by their share of the period.",
    )
    def change_plan(
        self,
        request: HttpRequest,
        subscription: Subscription,
        item: SubscriptionItem,
        plan_version: RatePlanVersion | None,
        quantity: Decimal | None,
        starts_on: date | None,
    ) -> str:
        zone = subscription.customer.zone
        wanted = (
            {"to_plan": plan_version.plan.code, "version": plan_version.number}
            if plan_version is not None
            else {}
        )
        subscription_change(
            tenant=tenant_of_request(request),
            code=subscription.code,
            plan=item.plan_version.plan.code,
            quantity=quantity,
            at=local_midnight(starts_on, zone) if starts_on else None,
            **wanted,
        )
        return "The subscription is changed; its timeline says from when on."

    @button(
        "Add-on",
        icon="add_circle",
        ask=AddOn,
        offered=_is_running,
        says="Holds an add-on beside what is held, on the same invoice.",
    )
    def add_offering(
        self,
        request: HttpRequest,
        subscription: Subscription,
        offering: Offering,
        quantity: Decimal | None,
        starts_on: date | None,
    ) -> str:
        subscription_add(
            tenant=tenant_of_request(request),
            code=subscription.code,
            offering=offering.code,
            at=local_midnight(starts_on, subscription.customer.zone) if starts_on else None,
            **({} if quantity is None else {"quantity": quantity}),
        )
        return f"The add-on {offering.name} is added."

    @button(
        "Coupon",
        icon="confirmation_number",
        ask=CouponChoice,
        offered=_is_running,
        says="Attaches a coupon, which counts from the first period that is not invoiced yet.",
    )
    def attach_coupon(self, request: HttpRequest, subscription: Subscription, coupon: Coupon) -> str:
        coupon_attach(tenant=tenant_of_request(request), coupon=coupon.code, subscription=subscription.code)
        return f"The coupon {coupon.code} is attached."

    @button(
        "Move",
        icon="swap_horiz",
        ask=Move,
        offered=_is_running,
        says="Changes the state, and writes down when and why.",
    )
    def move(self, request: HttpRequest, subscription: Subscription, to: str, reason: str) -> str:
        moved = subscription_move(
            tenant=tenant_of_request(request), code=subscription.code, to=to, reason=reason
        )
        return f"The subscription is {moved.get_state_display().lower()}."

    @button(
        "Cancel",
        icon="cancel",
        ask=Cancellation,
        offered=_is_running,
        variant=ActionVariant.DANGER,
        says="It is billed until then, in proportion, and not from then on.",
    )
    def cancel(
        self, request: HttpRequest, subscription: Subscription, ends_on: date | None, reason: str
    ) -> str:
        ended = subscription_cancel(
            tenant=tenant_of_request(request),
            code=subscription.code,
            at=local_midnight(ends_on, subscription.customer.zone) if ends_on else None,
            reason=reason,
        )
        return f"The subscription ends on {ended.ends_at.astimezone(ended.customer.zone):%Y-%m-%d %H:%M}."
