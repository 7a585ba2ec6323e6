"""The format is strict: whatever it does not know is refused with its path."""

from __future__ import annotations

import pytest

from sandbox.loading import state_of
from sandbox.scenario import InvalidScenario, scenario_of

GOOD = """
title = "One fee"

[period]
month = "2026-03"

[[meters]]
key = "calls"
group_by = ["model"]

[plan]

[[plan.charges]]
code = "calls"
meter = "calls"
model = "PER_UNIT"
terms = {unit_price = 0.10}

[[usage]]
meter = "calls"

[expected]
"""


def refusal(text: str) -> str:
    with pytest.raises(InvalidScenario) as refused:
        state_of(scenario_of(text))
    return str(refused.value)


def test_numbers_are_read_as_they_are_spelled():
    charge = state_of(scenario_of(GOOD)).charges[0]
    assert str(charge.terms.unit_price) == "0.10"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[plan]", "[plan]\ncolour = 1", "plan.colour: is unknown"),
        ('code = "calls"', 'knid = "FEE"\ncode = "calls"', "plan.charges[0].knid: is unknown"),
        ('title = "One fee"', "", "title: is missing"),
        ('key = "calls"', "", "meters[0].key: is missing"),
        ("[expected]", '[expected]\ntotal = "abc"', "expected.total: Invalid decimal string"),
        ("[plan]", '[plan]\nproration = "hour"', "plan.proration: Invalid enum value 'hour'"),
        ("unit_price", "unit_prize", "plan.charges[0].terms.unit_prize: unknown field"),
        ("unit_price = 0.10", 'unit_price = "-1"', "plan.charges[0].terms.unit_price: is below zero"),
        ("PER_UNIT", "BARTER", "plan.charges[0].model: is none of PER_UNIT"),
        ('\nmeter = "calls"\nmodel', '\nmeter = "call"\nmodel', "plan.charges[0].meter: 'call' is no meter"),
        (
            'model = "PER',
            'filters = {size = "1"}\nmodel = "PER',
            "plan.charges[0].filters.size: calls is not grouped by it",
        ),
        ("2026-03", "2026-13", "period.month: '2026-13' is no month"),
        ("[plan]", "[plan]\ncurrency = 'XXX'", "plan.currency: 'XXX' is no ISO 4217"),
        (
            "[plan]",
            '[customer]\nzone = "Mars/Base"\n[plan]',
            "customer.zone: 'Mars/Base' is no IANA time zone",
        ),
        ('\n[[usage]]\nmeter = "calls"', '\n[[usage]]\nmeter = "x"', "usage[0].meter: 'x' is no meter"),
        (
            "[expected]",
            "at = 2026-04-01T00:00:00Z\n[expected]",
            "usage[0].at: lies outside the billed period",
        ),
        ("[expected]", "at = 2026-03-01T00:00:00\n[expected]", "usage[0].at: has no offset"),
        ("[expected]", "events = 0\n[expected]", "usage[0].events: is below 1"),
        (
            "[expected]",
            '[[events]]\nmetric = "x"\nat = 2026-03-01T00:00:00Z\n[expected]',
            "events[0].metric: no meter listens to 'x'",
        ),
        ('group_by = ["model"]', 'aggregation = "MAX"', "usage[0].meter: MAX needs events, not a total"),
        ('group_by = ["model"]', 'aggregation = "MOST"', "meters[0].aggregation: is none of COUNT"),
        (
            'group_by = ["model"]',
            'conversion = {operation = "divide", factor = 0}',
            "meters[0].conversion.factor",
        ),
        (
            'group_by = ["model"]',
            'filters = [{field = "a", operator = "LIKE"}]',
            "meters[0].filters[0].operator",
        ),
        ("2026-03", '2026-03"\nbilled_from = 2026-04-01\n#"', "period: leaves nothing of the month"),
        ("[plan]", "[plan", "The file is no TOML"),
    ],
)
def test_what_is_wrong_is_refused_with_its_path(old, new, sentence):
    assert GOOD.count(old) >= 1
    assert refusal(GOOD.replace(old, new, 1)).startswith(sentence)


def test_a_code_stands_once():
    twice = GOOD.replace(
        "[[usage]]",
        '[[plan.charges]]\ncode = "calls"\nkind = "FEE"\nmodel = "FLAT_RATE"\nterms = {amount = 1}\n\n[[usage]]',
    )
    assert refusal(twice) == "plan.charges[1].code: 'calls' is taken by an earlier charge"


def test_a_meter_that_adds_up_no_prices_is_none_of_a_dynamic_charge():
    counted = GOOD.replace('key = "calls"', 'key = "calls"\naggregation = "COUNT"')
    dynamic = counted.replace('"PER_UNIT"', '"DYNAMIC"').replace("unit_price = 0.10", "multiplier = 1.15")
    assert refusal(dynamic).startswith("plan.charges[0].meter: has the aggregation COUNT; DYNAMIC needs SUM")
