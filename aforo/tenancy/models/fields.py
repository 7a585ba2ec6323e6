"""Fields of the trade: short codes, currency and country codes, VAT numbers and time zones, validated where they enter."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from babel import Locale
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from aforo.kernel.currencies import MINOR_UNITS
from aforo.kernel.vat import vat_number

# Babel's table has groups of countries and codes for private use, too.
_NO_COUNTRIES = {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}
COUNTRIES = {
    code: name
    for code, name in Locale("en").territories.items()
    if len(code) == 2 and code.isalpha() and code not in _NO_COUNTRIES
}


def validate_currency(code: str) -> None:
    if code not in MINOR_UNITS:
        raise ValidationError(f"{code!r} is no ISO 4217 currency code; write one like USD, EUR or JPY.")


def validate_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"{name!r} is no IANA time zone; write one like UTC or Asia/Kolkata.")


def validate_country(code: str) -> None:
    if code not in COUNTRIES:
        raise ValidationError(f"{code!r} is no ISO 3166 country code; write one like DE, GR or US.")


code_validator = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
    "Start with a letter or digit; go on with letters, digits, '.', '_' or '-'.",
)


class CodeField(models.CharField):
    """The tenant's own short name of a row, used in the API: `api-pro`, `input_tokens`."""

    default_validators = [code_validator]

    def __init__(self, **options: Any) -> None:
        options["max_length"] = 64
        super().__init__(**options)


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


class CountryField(models.CharField):
    """An ISO 3166 code of two letters."""

    default_validators = [validate_country]

    def __init__(self, **options: Any) -> None:
        options["max_length"] = 2
        super().__init__(**options)


class VatNumberField(models.CharField):
    """A VAT number with its country's prefix; the model's `clean` brings it into that form by `checked_vat_number`."""

    def __init__(self, **options: Any) -> None:
        options["max_length"] = 32
        super().__init__(**options)


def checked_vat_number(country: str, text: str) -> str:
    """The number as it is printed. Raises ValidationError beside vat_number."""
    if not text:
        return ""
    if not country:
        raise ValidationError({"vat_number": "A VAT number is a country's; say which country, too."})
    try:
        return vat_number(country, text)
    except ValueError as error:
        raise ValidationError({"vat_number": f"{text!r} {error}."}) from None
