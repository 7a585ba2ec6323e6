"""Exact numbers on pages, as they were written: 0.0000025, and not 0.000002500000 as the store keeps it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import DecimalField, Model
from unfold.widgets import UnfoldAdminTextInputWidget

from aforo.kernel.decimals import trimmed


class PlainDecimal(forms.DecimalField):
    def __init__(self, **options: Any) -> None:
        options["widget"] = UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "autocomplete": "off"})
        super().__init__(**options)

    def prepare_value(self, value: Any) -> Any:
        return trimmed(value) if isinstance(value, Decimal) else value


class PlainDecimals:
    """A page whose decimals are plain, where they are changed and where they are only read."""

    model: type[Model]
    formfield_overrides: dict[type, dict[str, Any]] = {DecimalField: {"form_class": PlainDecimal}}

    @property
    def readonly_preprocess_fields(self) -> dict[str, Callable[[str], str]]:
        return {
            field.name: _without_zeros for field in self.model._meta.fields if isinstance(field, DecimalField)
        }


def _without_zeros(text: str) -> str:
    """1,000.500000 as 1,000.5."""
    return text.rstrip("0").rstrip(".") if "." in text else text
