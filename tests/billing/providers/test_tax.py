"""What counts as an answer of a tax engine."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from aforo.kernel.canonical import sha256_hex
from billing.providers.tax import EngineFailed, quote_of

QUESTION = json.dumps({"currency": "USD", "lines": []})
TAX = {
    "name": "Sales tax",
    "taxable": "100.00",
    "amount": "8.88",
    "percent": "8.875",
    "jurisdiction": "US-NY",
}


def answer(*taxes: object, **fields: object) -> bytes:
    return json.dumps({"currency": "USD", "taxes": taxes, **fields}).encode()


def test_an_answer_is_kept_as_it_was_given():
    quote = quote_of(
        QUESTION, answer(TAX, {**TAX, "name": "Levy", "amount": 1}, reference="tx_1", more="ignored")
    )
    assert (quote.question, quote.reference) == (sha256_hex(QUESTION.encode()), "tx_1")
    assert [(tax.name, tax.amount) for tax in quote.taxes] == [("Sales tax", Decimal("8.88")), ("Levy", 1)]
    # No taxes is an answer, too.
    assert quote_of(QUESTION, answer()).taxes == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"", "answered something else than taxes"),
        (b"<html>", "answered something else than taxes"),
        (b"\xff", "answered something else than taxes"),
        (b"[]", "answered something else than taxes"),
        (b'{"currency": "USD"}', "answered something else than taxes"),
        (answer(currency="EUR"), "answered in 'EUR', and the invoice is in USD."),
        (
            answer({**TAX, "amount": "8.875"}),
            "answered amount 8.875 of 'Sales tax', which is no amount of USD.",
        ),
        (answer({**TAX, "amount": "-1"}), "answered amount -1"),
        (answer({**TAX, "taxable": "NaN"}), "taxable"),
        (answer({**TAX, "amount": "Infinity"}), "amount"),
        (answer({**TAX, "amount": "1e21"}), "answered amount 1E+21"),
        (answer({**TAX, "amount": "much"}), "answered something else than taxes"),
        (answer({**TAX, "percent": "101"}), "answered 101 percent"),
        (answer({**TAX, "percent": "0.0000000000001"}), "percent"),
        (answer({**TAX, "name": ""}), "answered something else than taxes"),
        (answer({**TAX, "name": "x" * 101}), "answered something else than taxes"),
        (answer({**TAX, "note": "a\x00b"}), "answered with characters that no store keeps."),
        (answer(*[TAX] * 51), "answered something else than taxes"),
    ],
)
def test_anything_else_is_none(given, said):
    with pytest.raises(EngineFailed) as caught:
        quote_of(QUESTION, given)
    assert said in str(caught.value)
