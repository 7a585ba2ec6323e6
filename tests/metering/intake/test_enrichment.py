"""Enrichment: unknown metrics and customers, and quantities below zero."""

from __future__ import annotations

from ..builders import accepted, event, refused


def test_an_unknown_metric_is_refused_by_name() -> None:
    refusal = refused(event(metric="nope")).refusal
    assert (refusal.code, refusal.facts) == ("metric_unknown", {"metric": "nope"})


def test_an_unknown_customer_is_refused_by_name() -> None:
    refusal = refused(event(customer_id="cust_x")).refusal
    assert (refusal.code, refusal.facts) == ("customer_unknown", {"customer_id": "cust_x"})


def test_a_quantity_below_zero_needs_every_meter_to_allow_it() -> None:
    assert (
        accepted(event(metric="balance", quantity="-2.5")).quantity
        == -accepted(event(quantity="2.5")).quantity
    )
    for metric, meters in (("api.call", ["api.call"]), ("mixed", ["mixed.b"])):
        refusal = refused(event(metric=metric, quantity="-2.5")).refusal
        assert (refusal.code, refusal.facts) == ("quantity_negative", {"quantity": "-2.5", "meters": meters})
    assert accepted(event(quantity="-0")).quantity == 0
    assert accepted(event(metric="mixed", quantity="0"))
