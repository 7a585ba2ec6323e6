"""Fields of the trade: currency codes and time zones, validated where they enter."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.db import models

from aforo.kernel.currencies import MINOR_UNITS


def validate_currency(code: str) -> None:
    if code not in MINOR_UNITS:
        raise ValidationError(f"{code!r} is no ISO 4217 currency code; write one like USD, EUR or JPY.")


def validate_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"{name!r} is no IANA time zone; write one like UTC or Asia/Kolkata.")


class CurrencyField(models.CharField):
    """An ISO 4217 code with a known minor unit."""

    default_validators = [validate_currency]

    def __init__(self, **options: Any) -> None:
        options["max_length"] = 3
        super().__init__(**options)


class ZoneField(models.CharField):
    """An IANA time zone name."""

    default_validators = [validate_zone]

    def __init__(self, **options: Any) -> None:
        options["max_length"] = 64
        super().__init__(**options)
