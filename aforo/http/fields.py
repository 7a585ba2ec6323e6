"""Fields that requests and answers of several apps share: prices, amounts, local days."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from operator import attrgetter
from typing import Any

from rest_framework import serializers

from aforo.kernel.decimals import plain, trimmed
from aforo.kernel.money import round_minor


class RateField(serializers.DecimalField):
    """A price of one unit, a percentage or a quantity, to 12 places; answered as it would be written: 0.0000025."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=30, decimal_places=12, **options)

    def to_representation(self, value: Decimal) -> str:
        return trimmed(value)


class AmountField(serializers.DecimalField):
    """Money in major units; answered with the places of its currency: 50.00, and 50 in JPY.

    currency: where the answered row has its currency, such as "wallet.currency".
    """

    def __init__(self, *, currency: str = "currency", **options: Any) -> None:
        super().__init__(max_digits=28, decimal_places=4, **options)
        self._currency_of = attrgetter(currency)

    def get_attribute(self, instance: Any) -> Decimal | None:
        amount = super().get_attribute(instance)
        return None if amount is None else round_minor(amount, self._currency_of(instance), "half_up")

    def to_representation(self, value: Decimal) -> str:
        return plain(value)


class DayField(serializers.DateField):
    """A local day, in years that leave room for other zones and the periods beside it."""

    default_error_messages = {"out_of_range": "Write a day from 1900-01-01 to 2999-12-31."}

    def to_internal_value(self, value: Any) -> date:
        day = super().to_internal_value(value)
        if not 1900 <= day.year <= 2999:
            self.fail("out_of_range")
        return day
