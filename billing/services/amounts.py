"""Money that a tenant states: whole minor units of its currency."""

from __future__ import annotations

from decimal import Decimal

from aforo.kernel.currencies import minor_units
from aforo.kernel.decimals import plain, trimmed
from aforo.kernel.money import round_minor
from aforo.tenancy.services.rows import invalid


def amount_check(amount: Decimal | None, currency: str, *, field: str) -> None:
    """Refuse an amount that no invoice could show: 0.005 USD, 0.5 JPY.

    amount: major units, or None for none. Raises Problem input_invalid.
    """
    if amount is not None and round_minor(amount, currency, "half_up") != amount:
        least = plain(Decimal(1).scaleb(-minor_units(currency)))
        raise invalid(field, f"is {trimmed(amount)}; the least amount of {currency} is {least}.")


def currency_check(given: str, wanted: str, *, whose: str) -> None:
    """Refuse to mix currencies. whose: what is in the wanted one, such as "the customer". Raises input_invalid."""
    if given != wanted:
        raise invalid("currency", f"is {given}, but {whose} is in {wanted}.")


def amount_text(amount: Decimal, currency: str) -> str:
    """With the places of its currency: 5.00 USD is "5.00", 5 JPY is "5"."""
    return plain(round_minor(amount, currency, "half_up"))
