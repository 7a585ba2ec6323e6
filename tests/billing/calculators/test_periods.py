import pytest

from aforo.kernel.errors import Problem
from billing.calculators.periods import periods


def starts(**request):
    return [row["start"] for row in periods(request)["periods"]]


def test_twelve_periods_without_being_asked():
    assert len(starts(anchor="2026-01-31", interval="month")) == 12


def test_month_end_does_not_drift():
    assert starts(anchor="2026-01-31", interval="month", count=4) == [
        "2026-01-31T00:00:00Z",
        "2026-02-28T00:00:00Z",
        "2026-03-31T00:00:00Z",
        "2026-04-30T00:00:00Z",
    ]


def test_an_instant_keeps_its_time_of_day_over_daylight_saving():
    # 09:30 in New York is 14:30Z in winter and 13:30Z in summer.
    assert starts(anchor="2026-02-10T14:30:00Z", interval="month", count=2, timezone="America/New_York") == [
        "2026-02-10T14:30:00Z",
        "2026-03-10T13:30:00Z",
    ]


def test_the_first_period_is_cut_at_start_and_the_last_at_end():
    answer = periods(
        {"anchor": "2026-01-01", "interval": "month", "start": "2026-01-20", "end": "2026-03-11"}
    )["periods"]

    assert [(row["start"], row["end"]) for row in answer] == [
        ("2026-01-20T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("2026-03-01T00:00:00Z", "2026-03-11T00:00:00Z"),
    ]
    assert [row["share"] for row in answer] == [
        {"numerator": 12, "denominator": 31},
        {"numerator": 28, "denominator": 28},
        {"numerator": 10, "denominator": 31},
    ]


def test_until_lists_every_period_that_starts_on_or_before_it():
    assert starts(anchor="2026-01-01", interval="quarter", until="2026-07-01") == [
        "2026-01-01T00:00:00Z",
        "2026-04-01T00:00:00Z",
        "2026-07-01T00:00:00Z",
    ]


def test_calendar_periods_begin_with_the_calendar():
    assert starts(anchor="2026-05-20", interval="half_year", calendar=True, count=2) == [
        "2026-01-01T00:00:00Z",
        "2026-07-01T00:00:00Z",
    ]
    assert starts(anchor="2026-05-20", interval="week", calendar=True, count=1) == ["2026-05-18T00:00:00Z"]


@pytest.mark.parametrize(
    "request_row",
    [
        {"anchor": "2026-01-01", "interval": "month", "start": "2026-02-01", "end": "2026-01-01"},
        {"anchor": "2026-01-01", "interval": "month", "start": "2026-02-01", "until": "2026-01-01"},
        {"anchor": "2026-01-01", "interval": "fortnight"},
        {"anchor": "2026-01-01", "interval": "month", "count": 0},
        {"anchor": "2026-01-01", "interval": "month", "count": 10**9},
        {"anchor": "2026-01-01", "interval": "week", "until": "2999-01-01"},
        {"anchor": "0001-01-01", "interval": "week"},
        {"anchor": "2026-02-30", "interval": "week"},
        {"anchor": 5, "interval": "week"},
    ],
)
def test_what_cannot_be_laid_out_is_refused(request_row):
    with pytest.raises(Problem) as caught:
        periods(request_row)

    assert caught.value.code == "field_invalid"
