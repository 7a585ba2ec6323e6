"""What billing's pages share: exact numbers in forms, money and prices as people read them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import Model
from unfold.widgets import UnfoldAdminTextInputWidget

from aforo.kernel.decimals import trimmed
from aforo.tenancy.admin.rows import RowInline, TenantAdmin

from ..documents.numbers import DEFAULT, money_text, number_text
from ..models.fields import AmountField, RateField


class PlainDecimal(forms.DecimalField):
    """A decimal that is shown as it was written: 0.0000025, not 0.000002500000."""

    def __init__(self, **options: Any) -> None:
        options["widget"] = UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "autocomplete": "off"})
        super().__init__(**options)

    def prepare_value(self, value: Any) -> Any:
        return trimmed(value) if isinstance(value, Decimal) else value


_DECIMALS = {RateField: {"form_class": PlainDecimal}, AmountField: {"form_class": PlainDecimal}}


def without(fieldsets: Any, hidden: set[str]) -> list[Any]:
    """The fieldsets with these fields left out, and empty rows and sets with them."""
    kept = []
    for title, options in fieldsets:
        rows = [row if isinstance(row, tuple) else (row,) for row in options["fields"]]
        rows = [tuple(name for name in row if name not in hidden) for row in rows]
        if any(rows):
            kept.append((title, {**options, "fields": tuple(row for row in rows if row)}))
    return kept


class _Trimmed:
    """Shows the exact numbers of rows that cannot be changed without the zeros that the store keeps behind them."""

    model: type[Model]

    @property
    def readonly_preprocess_fields(self) -> dict[str, Callable[[str], str]]:
        exact = (field for field in self.model._meta.fields if isinstance(field, RateField | AmountField))
        return {field.name: _trimmed_text for field in exact}


class BillingAdmin(_Trimmed, TenantAdmin):
    formfield_overrides = {**TenantAdmin.formfield_overrides, **_DECIMALS}


class BillingInline(_Trimmed, RowInline):
    formfield_overrides = {**RowInline.formfield_overrides, **_DECIMALS}


def money(amount: Decimal | None, currency: str) -> str:
    """$1,234.50; a dash where there is none."""
    return "–" if amount is None else money_text(amount, currency, DEFAULT)


def number(value: Decimal | None) -> str:
    """22,361,870 or 0.0000025; a dash where there is none."""
    return "–" if value is None else number_text(value, DEFAULT)


def _trimmed_text(text: str) -> str:
    """1,000.500000 as 1,000.5."""
    return text.rstrip("0").rstrip(".") if "." in text else text
