"""`manage.py prorate`: the share of an amount for the part of a period that was active."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aforo.kernel.decimals import plain
from aforo.kernel.money import round_minor

from .. import proration
from . import fields

REQUIRED = {"amount", "currency", "period", "active"}


def prorate(request: Mapping[str, Any]) -> dict[str, Any]:
    """{"amount", "currency", "period", "active", "basis", "timezone"} -> {"amount", "numerator", "denominator"}.

    amount: may be negative (a credit); the answer is rounded once, half up, to the currency's minor unit.
    basis: "day" (default) or "second". timezone: default UTC.
    Raises Problem fields_missing or field_invalid.

    30.00 for June 2026, active from the 20th: 11 of 30 days, 11.00.
    """
    row = fields.object_of(request, "the request", known=REQUIRED | {"basis", "timezone"}, required=REQUIRED)
    amount = fields.decimal(row["amount"], "amount")
    currency = fields.currency(row["currency"])
    zone = fields.zone(row.get("timezone") or "UTC")
    basis = fields.choice(row.get("basis") or "day", "basis", proration.BASES)
    numerator, denominator = proration.share(
        fields.period(row["period"], "period"), fields.period(row["active"], "active"), basis=basis, zone=zone
    )
    exact = proration.prorated(amount, numerator, denominator)
    return {
        "amount": plain(round_minor(exact, currency, "half_up")),
        "numerator": numerator,
        "denominator": denominator,
    }
