"""Money: an exact amount with its currency beside it, rounded only where the rounding is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from .currencies import minor_units
from .decimals import EXACT, plain, rounded


class CurrencyMismatch(ValueError):
    """Two amounts of different currencies met in one operation."""


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in major units (12.50 is twelve and a half) of an ISO 4217 currency, at any precision.

    Made from text, an int or a Decimal; a float is refused, because 0.1 is not a tenth.
    Raises UnknownCurrency, TypeError for a float, ValueError for NaN or infinity.

    Money("94.50", "EUR") + Money("0.005", "EUR") is 94.505 EUR until somebody rounds it.
    """

    amount: Decimal
    currency: str

    def __init__(self, amount: str | int | Decimal, currency: str) -> None:
        if isinstance(amount, float):
            raise TypeError("Money is made from text, an int or a Decimal, never from a float")
        number = Decimal(amount)
        if not number.is_finite():
            raise ValueError(f"{amount!r} is no amount of money")
        minor_units(currency)
        object.__setattr__(self, "amount", number)
        object.__setattr__(self, "currency", currency)

    def _same(self, other: Money) -> Decimal:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not mix")
        return other.amount

    def __add__(self, other: Money) -> Money:
        return Money(EXACT.add(self.amount, self._same(other)), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(EXACT.subtract(self.amount, self._same(other)), self.currency)

    def __neg__(self) -> Money:
        return Money(EXACT.minus(self.amount), self.currency)

    def __mul__(self, factor: Decimal | int) -> Money:
        if isinstance(factor, float):
            raise TypeError("multiply Money by a Decimal or an int")
        return Money(EXACT.multiply(self.amount, Decimal(factor)), self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other)

    def __str__(self) -> str:
        return f"{plain(self.amount)} {self.currency}"

    def rounded(self, mode: str) -> Money:
        """Round to the currency's minor unit; mode "half_up" or "half_even".

        Money("82.005", "USD").rounded("half_up") is 82.01 USD.
        """
        return Money(round_minor(self.amount, self.currency, mode), self.currency)


def round_minor(amount: Decimal, currency: str, mode: str) -> Decimal:
    """Round an amount in major units to the currency's minor unit; never leaves a negative zero.

    82.005 USD half up is 82.01; 82.5 JPY half up is 83; 1.0005 KWD half even is 1.000.
    """
    result = rounded(amount, places=minor_units(currency), mode=mode)
    return abs(result) if result.is_zero() else result


def allocate(amount: Decimal, weights: Sequence[Decimal], currency: str) -> tuple[Decimal, ...]:
    """Split a rounded amount by weight in whole minor units, so that the parts add up to it.

    amount: major units, already at the currency's minor unit; may be negative.
    weights: zero or more each; at least one above zero unless the amount is zero.
    Returns one part per weight. Largest remainder first, ties to the earlier weight.
    Raises ValueError for a negative weight, or an amount finer than the minor unit or without takers.

    10.00 over three equal weights is 3.34, 3.33, 3.33, never 9.99.
    """
    places = minor_units(currency)
    scaled = EXACT.scaleb(amount, places)
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} is finer than the minor unit of {currency}")
    if any(weight < 0 for weight in weights):
        raise ValueError("weights are zero or more")
    units = abs(int(scaled))
    # Weights become integers on one scale, so that the shares are exact integer divisions.
    scale = max((-int(weight.as_tuple().exponent) for weight in weights), default=0)
    whole_weights = [int(EXACT.scaleb(weight, max(scale, 0))) for weight in weights]
    whole = sum(whole_weights)
    if whole == 0:
        if units:
            raise ValueError("there is nobody to allocate to")
        return tuple(Decimal(0).scaleb(-places) for _ in weights)
    parts = [units * weight // whole for weight in whole_weights]
    by_remainder = sorted(range(len(parts)), key=lambda i: (-(units * whole_weights[i] % whole), i))
    for i in by_remainder[: units - sum(parts)]:
        parts[i] += 1
    sign = -1 if scaled < 0 else 1
    return tuple(Decimal(sign * part if part else 0).scaleb(-places) for part in parts)
