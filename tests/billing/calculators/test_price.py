from __future__ import annotations

import pytest

from aforo.kernel.errors import Problem
from billing.calculators.price import price

TIERS = [
    {"up_to": "1000", "unit_price": "0.010", "flat_fee": "0"},
    {"up_to": "10000", "unit_price": "0.008"},
    {"up_to": None, "unit_price": "0.005"},
]


def ask(model, terms, quantity=None, **more):
    return price({"model": model, "currency": "USD", "quantity": quantity, "terms": terms, **more})


@pytest.mark.promise("P16")
def test_the_answer_shows_every_tier():
    assert ask("GRADUATED", {"tiers": TIERS, "included": "0"}, "15000") == {
        "amount": "107.00",
        "unrounded": "107.000",
        "gross": "107.00",
        "true_up": "0.00",
        "capped": "0.00",
        "breakdown": [
            {"tier": 1, "quantity": "1000", "unit_price": "0.010", "flat_fee": "0", "amount": "10.000"},
            {"tier": 2, "quantity": "9000", "unit_price": "0.008", "flat_fee": "0", "amount": "72.000"},
            {"tier": 3, "quantity": "5000", "unit_price": "0.005", "flat_fee": "0", "amount": "25.000"},
        ],
    }


@pytest.mark.promise("P16", "P42")
@pytest.mark.parametrize(
    ("model", "terms", "quantity", "amount"),
    [
        ("GRADUATED", {"tiers": TIERS}, "10001", "82.01"),  # 82.005, half up
        ("VOLUME_TIERED", {"tiers": TIERS}, "15000", "75.00"),
        ("PER_UNIT", {"unit_price": ".001", "included": "1000"}, "800", "0.00"),
        ("PER_UNIT", {"unit_price": ".001", "included": "1000"}, "1500", "0.50"),
        ("PERCENTAGE", {"percent": "2.5", "minimum_fee": "5"}, "1000", "25.00"),
        ("PERCENTAGE", {"percent": "2.5", "minimum_fee": "10"}, "100", "10.00"),
        ("PERCENTAGE", {"percent": "2.5", "minimum_fee": "5"}, "0", "5.00"),
        (
            "PERCENTAGE",
            {"percent": "2.5", "minimum_fee": "5", "minimum_without_transactions": False},
            "0",
            "0.00",
        ),
        ("INCLUDED_QUOTA", {"included": "1000", "block_size": "100", "unit_price": "0.10"}, "1100", "0.10"),
        ("INCLUDED_QUOTA", {"included": "1000", "block_size": "100", "unit_price": "0.10"}, "1150", "0.20"),
        ("INCLUDED_QUOTA", {"included": "1000", "block_size": "100", "unit_price": "0.10"}, "1200", "0.20"),
        ("PER_UNIT", {"unit_price": ".0012", "included": "500000"}, "600000", "120.00"),
        ("FLAT_RATE", {"amount": "499"}, None, "499.00"),
    ],
)
def test_the_rows_of_the_specification(model, terms, quantity, amount):
    assert ask(model, terms, quantity)["amount"] == amount


STEPS = [{"up_to": "10", "flat_fee": "50"}, {"up_to": "50", "flat_fee": "200"}, {"flat_fee": "500"}]
SHARES = [
    {"up_to": "10000", "percent": "3", "flat_fee": "5"},
    {"up_to": "100000", "percent": "2", "cap": "1500"},
    {"up_to": None, "percent": "1"},
]


@pytest.mark.promise("P16")
@pytest.mark.parametrize(
    ("model", "terms", "quantity", "amount"),
    [
        ("PACKAGE", {"package_size": "100", "package_price": "5", "free_units": "100"}, "100", "0.00"),
        ("PACKAGE", {"package_size": "100", "package_price": "5", "free_units": "100"}, "201", "10.00"),
        ("PACKAGE", {"package_size": "100", "package_price": "5", "included": "100"}, "201", "10.00"),
        ("PACKAGE", {"package_size": "100", "package_price": "5"}, "201", "15.00"),
        ("STAIRSTEP", {"tiers": STEPS}, "0", "0.00"),
        ("STAIRSTEP", {"tiers": STEPS}, "10", "50.00"),
        ("STAIRSTEP", {"tiers": STEPS, "included": "1"}, "11", "50.00"),  # 10 billable
        ("STAIRSTEP", {"tiers": STEPS}, "51", "500.00"),
        ("GRADUATED_PERCENTAGE", {"tiers": SHARES}, "10001", "305.02"),
        ("GRADUATED_PERCENTAGE", {"tiers": SHARES}, "150000", "2305.00"),  # 305 + 1,500 + 500
        ("DYNAMIC", {"multiplier": "1.15"}, "4.00", "4.60"),
    ],
)
def test_the_four_further_models(model, terms, quantity, amount):
    assert ask(model, terms, quantity)["amount"] == amount


def test_a_cap_is_a_row_of_its_own():
    # 2 % of 90,000 are 1,800, of which the cap of 1,500 takes 300.
    answer = ask("GRADUATED_PERCENTAGE", {"tiers": SHARES}, "100000")
    assert (answer["amount"], answer["gross"]) == ("1805.00", "1805.00")
    assert [
        (row["tier"], row["quantity"], row["unit_price"], row["flat_fee"], row["amount"])
        for row in answer["breakdown"]
    ] == [
        (1, "10000", "0.03", "5", "305.00"),
        (2, "90000", "0.02", "0", "1800.00"),
        (2, "0", "0", "-300.00", "-300.00"),
    ]


def test_dynamic_adds_up_the_prices_of_its_transactions():
    answer = ask("DYNAMIC", {"multiplier": "1.15"}, transactions=["1.20", "0.35", "2.45"])
    assert (answer["amount"], answer["unrounded"]) == ("4.60", "4.6000")
    assert ask("DYNAMIC", {}, transactions=[])["amount"] == "0.00"
    # 10.00 were billed at 11.50; 4.00 more come to 16.10 in all, and a maximum of 15.00 leaves 3.50.
    billed = {"quantity": "10.00", "amount": "11.50"}
    more = {"transactions": ["4.00"], "already_billed": billed}
    assert ask("DYNAMIC", {"multiplier": "1.15"}, **more)["amount"] == "4.60"
    assert ask("DYNAMIC", {"multiplier": "1.15"}, **more, maximum="15")["amount"] == "3.50"


def test_what_was_billed_before_counts_for_packages_and_steps():
    # 150 of packages of 100 were billed at 10.00; 50 more fit into the second one, and 51 begin a third.
    package = {"package_size": "100", "package_price": "5"}
    billed = {"quantity": "150", "amount": "10"}
    assert ask("PACKAGE", package, "50", already_billed=billed)["amount"] == "0.00"
    assert ask("PACKAGE", package, "51", already_billed=billed)["amount"] == "5.00"
    # 10 were billed at 50.00; the eleventh makes 200.00 of it.
    billed = {"quantity": "10", "amount": "50"}
    assert ask("STAIRSTEP", {"tiers": STEPS}, "1", already_billed=billed)["amount"] == "150.00"


def test_a_minimum_trues_up_and_a_maximum_caps():
    low = ask("PER_UNIT", {"unit_price": "1"}, "15.5", minimum="20")
    assert (low["amount"], low["gross"], low["true_up"], low["capped"]) == ("20.00", "15.50", "4.50", "0.00")
    high = ask("PER_UNIT", {"unit_price": "1"}, "30", maximum="20")
    assert (high["amount"], high["gross"], high["true_up"], high["capped"]) == (
        "20.00",
        "30.00",
        "0.00",
        "10.00",
    )


def test_what_was_billed_before_in_the_period_counts_for_tiers_and_bounds():
    # 10,000 were billed at 82.00; 5,000 more come to 107.00 in all.
    assert (
        ask("GRADUATED", {"tiers": TIERS}, "5000", already_billed={"quantity": "10000", "amount": "82.00"})[
            "amount"
        ]
        == "25.00"
    )
    # At most 100.00 in the period: 18.00 are left.
    capped = ask(
        "GRADUATED",
        {"tiers": TIERS},
        "5000",
        maximum="100",
        already_billed={"quantity": "10000", "amount": "82.00"},
    )
    assert (capped["amount"], capped["capped"]) == ("18.00", "7.00")
    # 1,000 are included once: 800 + 700 − 1,000 = 500.
    more = ask(
        "PER_UNIT",
        {"unit_price": "0.001", "included": "1000"},
        "700",
        already_billed={"quantity": "800", "amount": "0"},
    )
    assert more["amount"] == "0.50"


def test_conversion_comes_before_included_units():
    # 1,500,001 tokens are 1,501 thousands started; 1,000 are included.
    answer = ask(
        "PER_UNIT",
        {"unit_price": "0.01", "included": "1000"},
        "1500001",
        conversion={"operation": "divide", "factor": "1000", "rounding": "up", "places": 0},
    )
    assert answer["amount"] == "5.01"


def test_transactions_are_rated_one_by_one():
    terms = {"percent": "10", "fixed_fee": "1", "free_transactions": 2, "free_amount": "60"}
    answer = ask("PERCENTAGE", terms, transactions=["50", "50", "50"])
    # 10 % of 150 − 60, and two fees: the first is free of it.
    assert answer["amount"] == "11.00"
    assert answer["breakdown"] == [
        {"tier": 1, "quantity": "90", "unit_price": "0.10", "flat_fee": "2", "amount": "11.00"}
    ]


def test_a_quantity_is_one_transaction():
    assert ask("PERCENTAGE", {"percent": "10", "fixed_fee": "1"}, "50")["amount"] == "6.00"


def test_rounding_is_the_currencys_and_the_modes():
    assert ask("GRADUATED", {"tiers": TIERS}, "10001", rounding="half_even")["amount"] == "82.00"
    yen = price({"model": "PER_UNIT", "currency": "JPY", "quantity": "165", "terms": {"unit_price": "0.5"}})
    assert (yen["amount"], yen["unrounded"], yen["gross"]) == ("83", "82.5", "82.5")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": "BARTER"}, "model"),
        ({"currency": "XXX"}, "currency"),
        ({"quantity": "-1"}, "quantity"),
        ({"quantity": "NaN"}, "quantity"),
        ({"terms": {"unit_price": "1", "percent": "1"}}, "terms.percent"),
        ({"terms": {"unit_price": "1", "colour": "1"}}, "terms.colour"),
        ({"minimum": "2", "maximum": "1"}, "minimum"),
        ({"transactions": ["1"]}, "transactions"),
        ({"rounding": "up"}, "rounding"),
        ({"conversion": {"operation": "divide", "factor": "0"}}, "conversion.factor"),
        ({"quantity": "1e28", "terms": {"unit_price": "1e28"}, "currency": "KWD", "minimum": "1e28"}, None),
        ({"model": "GRADUATED", "terms": {"tiers": TIERS[:1]}}, "terms.tiers[0].up_to"),
        ({"terms": {"unit_price": "1", "free_units": "1"}}, "terms.free_units"),
        ({"model": "PACKAGE", "terms": {"package_size": "0", "package_price": "1"}}, "terms.package_size"),
        (
            {
                "model": "PACKAGE",
                "terms": {"package_size": "1", "package_price": "1", "free_units": "1", "included": "1"},
            },
            "terms.free_units",
        ),
        (
            {"model": "PACKAGE", "terms": {"package_size": "1", "package_price": "1", "free_units": "-1"}},
            "terms.free_units",
        ),
        ({"model": "STAIRSTEP", "terms": {"tiers": TIERS}}, "terms.tiers[0].unit_price"),
        ({"model": "STAIRSTEP", "terms": {"tiers": STEPS[:2]}}, "terms.tiers[1].up_to"),
        ({"model": "GRADUATED_PERCENTAGE", "terms": {"tiers": SHARES[::-1]}}, "terms.tiers[0].up_to"),
        ({"model": "GRADUATED", "terms": {"tiers": [{"cap": "-1"}]}}, "terms.tiers[0].cap"),
        ({"model": "STAIRSTEP", "terms": {"tiers": STEPS}, "transactions": ["1"]}, "transactions"),
        ({"model": "DYNAMIC", "terms": {"multiplier": "-1"}}, "terms.multiplier"),
        ({"model": "DYNAMIC", "terms": {"included": "1"}}, "terms.included"),
        ({"model": "DYNAMIC", "terms": {}, "transactions": ["-1"]}, "transactions[0]"),
    ],
)
def test_a_wrong_request_is_refused_by_field(change, field):
    request = {
        "model": "PER_UNIT",
        "currency": "USD",
        "quantity": "1",
        "terms": {"unit_price": "1"},
        **change,
    }
    if field is None:
        assert price(request)["amount"].endswith(".000")
        return
    with pytest.raises(Problem) as refused:
        price(request)
    assert list(refused.value.facts["errors"]) == [field]


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": None},
        {"terms": {}},
        {"model": None},
        {"model": "PACKAGE", "terms": {"package_size": "1"}},
        {"model": "STAIRSTEP", "terms": {}},
        {"model": "DYNAMIC", "terms": {}, "quantity": None},
    ],
)
def test_a_request_that_lacks_a_field_names_it(change):
    request = {
        "model": "PER_UNIT",
        "currency": "USD",
        "quantity": "1",
        "terms": {"unit_price": "1"},
        **change,
    }
    with pytest.raises(Problem) as refused:
        price(request)
    assert refused.value.code == "fields_missing"
