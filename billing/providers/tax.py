"""The tax port: an outside engine that works out an invoice's taxes, and what counts as an answer of one.

question    canonical JSON of billing/pipeline/tax_quotes.py
answer      {"currency": "USD", "reference": "tx_1", "taxes": [{"jurisdiction": "US-NY", "name": "Sales tax",
            "percent": "8.875", "taxable": "100.00", "amount": "8.88", "note": ""}]}
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Protocol

import msgspec

from aforo.kernel.canonical import sha256_hex
from aforo.kernel.money import round_minor
from aforo.kernel.texts import is_storable

from ..pipeline.state import QuotedTax, TaxQuote

TAXES_MAX = 50
AMOUNT_MAX = Decimal(10) ** 20
PERCENT_PLACES_MAX = 12


class EngineFailed(Exception):
    """The engine gave no answer, or none that can be used; the message is the rest of "The tax engine …"."""


class EngineDown(EngineFailed):
    """Nobody answered, whatever was asked."""


class TaxEngine(Protocol):
    def ask(self, question: str) -> bytes:
        """The engine's answer, unread. Raises EngineFailed."""


class _Tax(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    taxable: Decimal
    amount: Decimal
    percent: Decimal = Decimal(0)
    jurisdiction: Annotated[str, msgspec.Meta(max_length=32)] = ""
    note: Annotated[str, msgspec.Meta(max_length=400)] = ""


class _Answer(msgspec.Struct):
    currency: str
    taxes: Annotated[list[_Tax], msgspec.Meta(max_length=TAXES_MAX)]
    reference: Annotated[str, msgspec.Meta(max_length=128)] = ""


def quote_of(question: str, answer: bytes) -> TaxQuote:
    """The answer to a question as the pipeline takes it.

    Raises EngineFailed where it is no answer: not of this shape, another currency, an amount that is negative or finer than
    the currency's minor unit, which nobody but the engine may round.
    """
    try:
        read = msgspec.json.decode(answer, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EngineFailed(f"answered something else than taxes: {error}.") from None
    currency = msgspec.json.decode(question)["currency"]
    if read.currency != currency:
        raise EngineFailed(f"answered in {read.currency[:8]!r}, and the invoice is in {currency}.")
    if not is_storable(
        [read.reference, *(text for tax in read.taxes for text in (tax.name, tax.jurisdiction, tax.note))]
    ):
        raise EngineFailed("answered with characters that no store keeps.")
    return TaxQuote(
        question=sha256_hex(question.encode()),
        reference=read.reference,
        taxes=tuple(_tax(tax, currency) for tax in read.taxes),
    )


def _tax(tax: _Tax, currency: str) -> QuotedTax:
    for what in ("taxable", "amount"):
        number = getattr(tax, what)
        is_sound = number.is_finite() and 0 <= number < AMOUNT_MAX
        if not is_sound or number != round_minor(number, currency, "half_up"):
            raise EngineFailed(f"answered {what} {number} of {tax.name!r}, which is no amount of {currency}.")
    if (
        not tax.percent.is_finite()
        or not 0 <= tax.percent <= 100
        or _places(tax.percent) > PERCENT_PLACES_MAX
    ):
        raise EngineFailed(f"answered {tax.percent} percent of {tax.name!r}.")
    return QuotedTax(
        jurisdiction=tax.jurisdiction,
        name=tax.name,
        percent=tax.percent,
        taxable=tax.taxable,
        amount=tax.amount,
        note=tax.note,
    )


def _places(number: Decimal) -> int:
    return -int(number.as_tuple().exponent)
