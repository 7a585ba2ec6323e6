import pytest

from aforo.kernel.errors import Problem
from billing.calculators.prorate import prorate

JUNE = {"start": "2026-06-01T00:00:00Z", "end": "2026-07-01T00:00:00Z"}


def request(**changes):
    row = {
        "amount": "30.00",
        "currency": "USD",
        "period": JUNE,
        "active": {"start": "2026-06-20T00:00:00Z", "end": "2026-07-01T00:00:00Z"},
        "basis": "day",
        "timezone": "UTC",
    }
    return row | changes


def test_eleven_of_thirty_days():
    assert prorate(request()) == {"amount": "11.00", "numerator": 11, "denominator": 30}


def test_a_credit_rounds_away_from_zero_like_the_charge_it_returns():
    # 100.00 x 11/30 = 36.666…
    assert prorate(request(amount="100.00"))["amount"] == "36.67"
    assert prorate(request(amount="-100.00"))["amount"] == "-36.67"


def test_yen_have_no_places():
    assert prorate(request(amount="100", currency="JPY"))["amount"] == "37"


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": "NaN"},
        {"amount": True},
        {"amount": "1e400"},
        {"amount": "١"},
        {"currency": "XXX"},
        {"basis": "hour"},
        {"timezone": "Mars/Base"},
        {"timezone": "../etc/passwd"},
        {"period": {"start": "2026-06-01", "end": "2026-07-01T00:00:00Z"}},
        {"period": {"start": JUNE["end"], "end": JUNE["start"]}},
        {"period": []},
        {"typo": 1},
    ],
)
def test_wrong_fields_are_named(changes):
    with pytest.raises(Problem) as caught:
        prorate(request(**changes))

    assert caught.value.code == "field_invalid"
    assert caught.value.facts["errors"]


def test_all_missing_fields_are_named_at_once():
    with pytest.raises(Problem) as caught:
        prorate({})

    assert caught.value.facts["missing"] == ["active", "amount", "currency", "period"]
