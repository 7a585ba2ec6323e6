"""Where customers stand, and what the margin guard has done."""

from __future__ import annotations

from decimal import Decimal

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from aforo.kernel.decimals import rounded
from aforo.tenancy.admin.rows import OwnRelatedFilter, TenantAdmin

from ..models import MarginEvent, MarginState

LEVELS = {"well": "success", "L1": "warning", "L2": "warning", "L3": "danger"}
KINDS = {"TRIPPED": "danger", "ENFORCED": "warning", "RELEASED": "success"}


def level_text(level: int) -> str:
    return f"L{level}" if level else "well"


def percent_text(percent: Decimal | None) -> str:
    """-60.0 %; a dash where there is no revenue."""
    return "–" if percent is None else f"{rounded(percent, places=1, mode='half_up')} %"


def amount_text(amount: Decimal, currency: str) -> str:
    return f"{rounded(amount, places=2, mode='half_up'):,} {currency}"


class FiguresAdmin(TenantAdmin):
    """Pages on rows with revenue, cost and margin."""

    list_filter_submit = True
    search_fields = ("customer__external_id", "customer__name")

    @display(description="Margin", ordering="percent")
    def margin(self, row: MarginState | MarginEvent) -> str:
        return percent_text(row.percent)

    @display(description="Revenue", ordering="revenue")
    def earned(self, row: MarginState | MarginEvent) -> str:
        return amount_text(row.revenue, row.currency)

    @display(description="Cost", ordering="cost")
    def spent(self, row: MarginState | MarginEvent) -> str:
        return amount_text(row.cost, row.currency)

    @display(description="Level", ordering="level", label=LEVELS)
    def level_label(self, row: MarginState | MarginEvent) -> str:
        return level_text(row.level)


@admin.register(MarginState)
class MarginStateAdmin(FiguresAdmin):
    list_display = ("customer", "level_label", "action", "margin", "earned", "spent", "policy", "since_at")
    list_filter = (("action", ChoicesDropdownFilter), ("policy", OwnRelatedFilter))
    ordering = ("-level", "percent")
    fieldsets = (
        (None, {"fields": (("customer", "policy"), ("level", "action"), ("since_at", "evaluated_at"))}),
        ("Figures", {"fields": (("earned", "spent", "margin"), ("window_start", "window_end"), "issue")}),
        ("At the edge", {"fields": (("throttle_percent", "retry_after_s"), "downgrades")}),
    )
    readonly_fields = ("earned", "spent", "margin")
    empty_state = "Once there is a margin policy, each customer it holds for stands here within seconds."


@admin.register(MarginEvent)
class MarginEventAdmin(FiguresAdmin):
    list_display = (
        "at",
        "customer",
        "kind_label",
        "level_label",
        "action",
        "margin",
        "earned",
        "spent",
        "policy_code",
    )
    list_filter = (("kind", ChoicesDropdownFilter), ("customer", OwnRelatedFilter))
    fieldsets = (
        (
            None,
            {"fields": (("at", "customer"), ("kind", "policy_code"), ("level_before", "level", "action"))},
        ),
        ("Figures", {"fields": (("earned", "spent", "margin"),)}),
    )
    readonly_fields = ("earned", "spent", "margin")
    empty_state = "When a margin falls below a floor, and when it is above it again, that stands here."

    @display(description="What", ordering="kind", label=KINDS)
    def kind_label(self, event: MarginEvent) -> str:
        return event.kind
