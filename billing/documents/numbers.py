"""Money, numbers and days as the reader writes them."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

from aforo.kernel.currencies import minor_units
from aforo.kernel.decimals import trimmed

DEFAULT = Locale("en", "US")
_PLACES = re.compile(r"(?<=0)\.0+")


def locale_of(name: str | None) -> Locale:
    """The locale called de, de-AT or pt_BR; US English where the name is not known."""
    try:
        return Locale.parse(name, sep="-" if "-" in name else "_") if name else DEFAULT
    except (UnknownLocaleError, ValueError):
        return DEFAULT


def money_text(amount: Decimal, currency: str, locale: Locale) -> str:
    """An amount in the currency's own places, whatever the store keeps: $1,234.50, 1.234,50 €, ¥1,235, KWD1.000.

    The places are ISO 4217's, as on the invoice; Babel's own table gives the Iraqi dinar none.
    """
    places = minor_units(currency)
    pattern = _PLACES.sub("." + "0" * places if places else "", locale.currency_formats["standard"].pattern)
    return format_currency(amount, currency, format=pattern, locale=locale, currency_digits=False)


def number_text(number: Decimal | str, locale: Locale) -> str:
    """A number with all its places, grouped: 22,361,870 and 0.0000025."""
    return format_decimal(Decimal(trimmed(Decimal(number))), locale=locale, decimal_quantization=False)


def day_text(on: date, locale: Locale) -> str:
    """A day in words: Apr 2, 2026."""
    return format_date(on, format="medium", locale=locale)
