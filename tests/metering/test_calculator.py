"""The aggregate calculator: worked requests, windows in zones, and an error for whatever is wrong."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.errors import Problem
from aforo.tenancy.management.json_lines import answered
from metering.calculator import aggregate
from metering.management.commands.aggregate import Command

MARCH = {"start": "2026-03-01T00:00:00Z", "end": "2026-04-01T00:00:00Z"}


def at(day: int, hour: int = 0, key: str = "k", quantity: Any = None, **properties: Any) -> dict[str, Any]:
    timestamp = f"2026-03-{day:02}T{hour:02}:00:00Z"
    return {"key": key, "timestamp": timestamp, "quantity": quantity, "properties": properties}


def request(*events: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"aggregation": "SUM", "period": MARCH, "events": list(events), **changes}


@pytest.mark.promise("P41")
@pytest.mark.parametrize(
    ("aggregation", "quantity"),
    [
        ("COUNT", "5"),
        ("SUM", "60"),
        ("MAX", "30"),
        ("MIN", "10"),
        ("AVG", "20"),
        ("UNIQUE", "5"),
        ("LATEST", "30"),
        ("PERCENTILE", "30"),
        # 10 for 10 days, 20 for 10, 30 for 11: 630 / 31, to 60 digits.
        ("WEIGHTED_SUM", "20.3225806451612903225806451612903225806451612903225806451613"),
    ],
)
def test_each_aggregation(aggregation: str, quantity: str) -> None:
    events = [
        at(1, key="a", v="10"),
        at(11, key="b", v=20),
        at(21, key="c", v=Decimal("30.0")),
        at(22, key="d", v="text"),
        at(23, key="e"),
    ]
    answer = aggregate(request(*events, aggregation=aggregation, property="v", percentile=95))
    assert answer == {"quantity": quantity}


def test_an_event_counts_once_and_without_a_property_its_quantity_is_read() -> None:
    assert aggregate(request(at(1), at(2, quantity="0.5"))) == {"quantity": "1.5"}
    assert aggregate({"aggregation": "SUM", "events": []}) == {"quantity": "0"}


def test_the_period_is_half_open() -> None:
    events = [
        {"timestamp": "2026-02-28T23:59:59.999999Z"},
        {"timestamp": "2026-03-01T00:00:00Z"},
        {"timestamp": "2026-03-31T23:59:59.999999Z"},
        {"timestamp": "2026-04-01T00:00:00Z"},
    ]
    assert aggregate(request(*events, aggregation="COUNT")) == {"quantity": "2"}
    assert aggregate(request(*events, aggregation="COUNT", period=None)) == {"quantity": "4"}


def test_filters_and_groups() -> None:
    events = [
        at(1, model="b", region="eu", status=200, quantity=1),
        at(2, model="a", region="eu", status=200, quantity=2),
        at(3, model="a", region="eu", status=500, quantity=4),
        at(4, model="a", status=200, quantity=8),
    ]
    answer = aggregate(
        request(
            *events,
            filters=[{"field": "status", "operator": "LESS_THAN", "value": 400}],
            group_by=["model", "region"],
        )
    )
    assert answer == {
        "groups": [
            {"by": {"model": "a", "region": ""}, "quantity": "8"},
            {"by": {"model": "a", "region": "eu"}, "quantity": "2"},
            {"by": {"model": "b", "region": "eu"}, "quantity": "1"},
        ]
    }


def test_windows_are_cut_in_the_zone_and_tile_the_period() -> None:
    # Midnight in Kolkata is 18:30Z.
    events = [at(1, 18, quantity=1), at(1, 19, quantity=2), at(2, 18, quantity=4)]
    two_days = {"start": "2026-03-01T00:00:00Z", "end": "2026-03-03T00:00:00Z"}
    answer = aggregate(request(*events, period=two_days, window={"size": "day", "timezone": "Asia/Kolkata"}))
    assert answer == {
        "windows": [
            {"start": "2026-03-01T00:00:00Z", "quantity": "1"},
            {"start": "2026-03-01T18:30:00Z", "quantity": "6"},
            {"start": "2026-03-02T18:30:00Z", "quantity": "0"},
        ]
    }


def test_days_of_daylight_saving_have_23_and_25_hours() -> None:
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)):
        windows = aggregate(
            request(
                period={
                    "start": f"{day}T00:00:00{'+02:00' if day != '2026-03-29' else '+01:00'}",
                    "end": "2026-12-01T00:00:00Z",
                },
                window={"size": "hour", "timezone": "Europe/Berlin"},
            )
        )["windows"]
        days = aggregate(
            request(
                period={"start": windows[0]["start"], "end": "2026-12-01T00:00:00Z"},
                window={"size": "day", "timezone": "Europe/Berlin"},
            )
        )["windows"]
        starts = [window["start"] for window in windows]
        assert starts.index(days[1]["start"]) == hours


def test_months_start_at_the_customers_midnight() -> None:
    period = {"start": "2026-01-31T18:30:00Z", "end": "2026-04-30T18:30:00Z"}
    windows = aggregate(request(period=period, window={"size": "month", "timezone": "Asia/Kolkata"}))[
        "windows"
    ]
    assert [window["start"] for window in windows] == [
        "2026-01-31T18:30:00Z",
        "2026-02-28T18:30:00Z",
        "2026-03-31T18:30:00Z",
    ]


def test_a_level_lasts_into_the_next_window_and_starts_initially_in_every_group() -> None:
    two_days = {"start": "2026-03-01T00:00:00Z", "end": "2026-03-03T00:00:00Z"}
    answer = aggregate(
        request(
            at(1, 12, quantity=4, pool="x"),
            at(2, 12, quantity=0, pool="y"),
            aggregation="WEIGHTED_SUM",
            period=two_days,
            initial="2",
            group_by=["pool"],
            window={"size": "day"},
        )
    )
    assert [group["by"]["pool"] for group in answer["groups"]] == ["x", "y"]
    # x: 2 until noon, then 4 for good. y: 2 until noon of the second day, then 0.
    assert [[w["quantity"] for w in group["windows"]] for group in answer["groups"]] == [
        ["3", "4"],
        ["2", "1"],
    ]


def test_conversion_is_applied_to_the_quantity_and_not_to_each_event() -> None:
    conversion = {"operation": "divide", "factor": "1000", "rounding": "up", "places": 0}
    events = [at(1, quantity=600), at(2, quantity=600)]
    assert aggregate(request(*events, conversion=conversion)) == {"quantity": "2"}
    assert aggregate(request(*events, conversion={"operation": "multiply", "factor": 2})) == {
        "quantity": "2400"
    }


def test_events_of_the_same_instant_are_ordered_by_key() -> None:
    first, second = at(1, key="a", quantity=1), at(1, key="b", quantity=2)
    for events in ([first, second], [second, first]):
        assert aggregate(request(*events, aggregation="LATEST")) == {"quantity": "2"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"aggregation": "MEDIAN"}, "aggregation"),
        ({"events": {}}, "events"),
        ({"events": [5]}, "events[0]"),
        ({"events": [{"timestamp": "2026-03-01"}]}, "events[0].timestamp"),
        ({"events": [{"timestamp": "2026-03-01T00:00:00Z", "quantity": "1e400"}]}, "events[0].quantity"),
        ({"events": [{"timestamp": "2026-03-01T00:00:00Z", "key": 5}]}, "events[0].key"),
        ({"events": [{"timestamp": "2026-03-01T00:00:00Z", "properties": []}]}, "events[0].properties"),
        ({"events": [{"timestamp": "2026-03-01T00:00:00Z", "typo": 1}]}, "typo"),
        ({"period": {"start": MARCH["end"], "end": MARCH["start"]}}, "period"),
        ({"period": {"start": "0001-01-01T00:00:00Z", "end": MARCH["end"]}}, "period.start"),
        ({"filters": [{"field": "a", "operator": "LIKE", "value": 1}]}, "filters[0].operator"),
        ({"filters": [{"field": "a", "operator": "IN", "value": "a"}]}, "filters[0].value"),
        ({"group_by": "model"}, "group_by"),
        ({"group_by": ["d"] * 9}, "group_by"),
        ({"window": {"size": "week"}}, "window.size"),
        ({"window": {"size": "day", "timezone": "Mars/Base"}}, "window.timezone"),
        ({"window": {"size": "day", "timezone": "../etc/passwd"}}, "window.timezone"),
        ({"conversion": {"operation": "divide", "factor": 0}}, "conversion.factor"),
        ({"conversion": {"operation": "divide", "factor": 1, "places": 29}}, "conversion.places"),
        ({"conversion": {"operation": "divide", "factor": 1, "rounding": "nearest"}}, "conversion.rounding"),
        ({"percentile": "101"}, "percentile"),
        ({"percentile": 0}, "percentile"),
        ({"initial": "much"}, "initial"),
        ({"property": 5}, "property"),
        ({"typo": 1}, "typo"),
    ],
)
def test_wrong_fields_are_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as caught:
        aggregate(request(**changes))
    assert caught.value.code == "field_invalid"
    assert list(caught.value.facts["errors"]) == [field]


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"aggregation": None, "events": None}, ["aggregation", "events"]),
        ({"aggregation": "PERCENTILE"}, ["percentile"]),
        ({"aggregation": "WEIGHTED_SUM", "period": None}, ["period"]),
        ({"window": {"size": "day"}, "period": None}, ["period"]),
        ({"events": [{}]}, ["events[0].timestamp"]),
        ({"filters": [{"field": "a", "operator": "EQUALS"}]}, ["filters[0].value"]),
    ],
)
def test_missing_fields_are_named(changes: dict[str, Any], missing: list[str]) -> None:
    with pytest.raises(Problem) as caught:
        aggregate(request(**changes))
    assert caught.value.code == "fields_missing"
    assert caught.value.facts["missing"] == missing


def test_too_many_windows_are_refused() -> None:
    with pytest.raises(Problem, match="100,000 windows"):
        aggregate(
            request(
                period={"start": "1990-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
                window={"size": "hour"},
            )
        )


def test_the_command_answers_line_by_line_and_its_example_works() -> None:
    line = Command.example.split("'")[1]
    assert answered(Command.answer, line.encode()) == {
        "groups": [{"by": {"model": "m1"}, "quantity": "12.5"}]
    }
    assert answered(Command.answer, b"{")["error"]["code"] == "body_unreadable"
    assert (
        answered(Command.answer, b'{"initial": 1e99999999999999999999}')["error"]["code"] == "body_unreadable"
    )
    assert answered(Command.answer, b"{}")["error"]["missing"] == ["aggregation", "events"]


def test_a_number_that_would_fill_the_memory_is_not_written_out() -> None:
    line = (
        b'{"aggregation": "COUNT", "group_by": ["v"], "events": '
        b'[{"timestamp": "2026-03-01T00:00:00Z", "properties": {"v": 1e999999999}}]}'
    )
    groups = answered(aggregate, line)["groups"]
    assert groups == [{"by": {"v": "1E+999999999"}, "quantity": "1"}]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["1e999999999", "p95", "IN"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    changes=st.dictionaries(
        st.sampled_from(
            [
                "aggregation",
                "property",
                "period",
                "filters",
                "group_by",
                "window",
                "conversion",
                "percentile",
                "initial",
            ]
        ),
        json_values,
        max_size=3,
    ),
    aggregation=st.sampled_from(["COUNT", "SUM", "UNIQUE", "LATEST", "WEIGHTED_SUM", "PERCENTILE"]),
    events=st.lists(
        st.fixed_dictionaries(
            {
                "timestamp": st.just("2026-03-02T00:00:00Z"),
                "properties": st.dictionaries(st.just("v"), json_values),
            }
        )
        | json_values
    ),
)
def test_any_request_is_an_answer_or_an_error(
    changes: dict[str, Any], aggregation: str, events: list[Any]
) -> None:
    line = json.dumps(
        {
            "percentile": 50,
            "property": "v",
            **request(*events, aggregation=aggregation),
            "group_by": ["v"],
            **changes,
        }
    )
    answer = answered(aggregate, line.encode())
    assert answer.keys() <= {"quantity", "windows", "groups", "error"}
    json.dumps(answer, ensure_ascii=False).encode()
