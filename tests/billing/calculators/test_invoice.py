from __future__ import annotations

import pytest

from aforo.kernel.errors import Problem
from billing.calculators.invoice import invoice


def ask(*amounts: str, **more):
    lines = [{"id": f"line{i}", "amount": amount} for i, amount in enumerate(amounts)]
    return invoice({"currency": "USD", "lines": lines, **more})


@pytest.mark.promise("P45")
def test_commitment_comes_before_discount():
    answer = ask("100.00", minimum={"amount": "95"}, discounts=[{"percent": "10"}])
    assert (answer["commitment"], answer["discount"], answer["total"]) == ("0.00", "10.00", "90.00")
    # 80.00 is trued up to 100.00 first; 2.00 of the discount fall on the true-up.
    assert ask("80.00", minimum={"amount": "100"}, discounts=[{"percent": "10"}]) == {
        "subtotal": "80.00",
        "commitment": "20.00",
        "discount": "10.00",
        "tax": "0.00",
        "total": "90.00",
        "wallet": "0.00",
        "due": "90.00",
        "lines": [{"id": "line0", "amount": "80.00", "discount": "8.00"}],
    }


@pytest.mark.promise("P47")
def test_tax_comes_before_the_wallet():
    answer = ask("100.00", taxes=[{"rate": "19"}], wallet=[{"id": "w", "balance": "50"}])
    assert (answer["tax"], answer["wallet"], answer["due"]) == ("19.00", "50.00", "69.00")


@pytest.mark.promise("P46")
def test_tax_is_rounded_once():
    # 5 × 84.03 = 420.15; × 0.19 = 79.8285 -> 79.83. Line by line it would be 79.85.
    assert ask(*["84.03"] * 5, taxes=[{"rate": "19"}])["tax"] == "79.83"
    assert ask("99.99", taxes=[{"rate": "9.25"}])["tax"] == "9.25"


@pytest.mark.promise("P46")
def test_an_inclusive_tax_is_contained_in_the_total():
    answer = ask("119.00", taxes=[{"rate": "19"}], tax_inclusive=True)
    assert (answer["tax"], answer["total"]) == ("19.00", "119.00")


@pytest.mark.promise("P45")
def test_a_discount_takes_no_more_than_there_is():
    answer = ask("100", discounts=[{"amount": "250"}])
    assert (answer["discount"], answer["total"]) == ("100.00", "0.00")


def test_discounts_are_taken_each_on_what_remains():
    # 100 − 10 % = 90, − 10 % = 81.
    assert ask("100", discounts=[{"percent": "10"}, {"percent": "10"}])["discount"] == "19.00"
    # A discount's ties go to the earlier line: 0.01 over two equal lines.
    tie = ask("1.00", "1.00", discounts=[{"amount": "0.01"}])
    assert [line["discount"] for line in tie["lines"]] == ["0.01", "0.00"]


def test_discounts_and_taxes_may_be_limited_to_lines():
    answer = ask(
        "60",
        "40",
        discounts=[{"percent": "50", "lines": ["line1"]}],
        taxes=[{"rate": "10", "lines": ["line1"]}],
    )
    assert [line["discount"] for line in answer["lines"]] == ["0.00", "20.00"]
    assert answer["tax"] == "2.00"


def test_a_minimum_counts_by_day_of_the_active_part():
    june = {"start": "2026-06-01T00:00:00Z", "end": "2026-07-01T00:00:00Z"}
    active = {"start": "2026-06-16T00:00:00Z", "end": "2026-07-01T00:00:00Z"}
    # 15 of 30 days of 100.00.
    assert ask("20", minimum={"amount": "100", "period": june, "active": active})["commitment"] == "30.00"


@pytest.mark.promise("P44")
def test_a_maximum_caps():
    answer = ask("60", "60", maximum={"amount": "100"}, discounts=[{"percent": "10"}])
    assert (answer["commitment"], answer["discount"], answer["due"]) == ("-20.00", "10.00", "90.00")
    assert [line["discount"] for line in answer["lines"]] == ["5.00", "5.00"]


@pytest.mark.promise("P47")
def test_the_hybrid_row_of_the_specification():
    answer = ask("4.20", discounts=[{"percent": "10"}], wallet=[{"id": "w", "balance": "2.00"}])
    assert (answer["discount"], answer["total"], answer["wallet"], answer["due"]) == (
        "0.42",
        "3.78",
        "2.00",
        "1.78",
    )


def test_no_lines_are_an_invoice_of_zero():
    answer = ask(taxes=[{"rate": "19"}], discounts=[{"amount": "5"}], wallet=[{"id": "w", "balance": "1"}])
    assert (answer["total"], answer["wallet"], answer["due"], answer["lines"]) == ("0.00", "0.00", "0.00", [])


@pytest.mark.parametrize(
    "change",
    [
        {"lines": [{"id": "a", "amount": "1"}, {"id": "a", "amount": "1"}]},
        {"lines": [{"id": "a", "amount": "NaN"}]},
        {"discounts": [{}]},
        {"discounts": [{"percent": "1", "amount": "1"}]},
        {"discounts": [{"percent": "1", "lines": ["b"]}]},
        {"taxes": [{"rate": "-1"}]},
        {"wallet": [{"id": "w", "balance": "1"}, {"id": "w", "balance": "1"}]},
        {"minimum": {"amount": "-1"}},
        {"tax_inclusive": "yes"},
        {"colour": 1},
    ],
)
def test_a_wrong_request_is_refused(change):
    with pytest.raises(Problem):
        invoice({"currency": "USD", "lines": [{"id": "a", "amount": "1"}], **change})
