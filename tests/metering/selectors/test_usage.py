"""Usage of any period: buckets and events together say what an aggregation of the events alone would say."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aforo.kernel.clock import clock_at
from aforo.kernel.decimals import EXACT
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, calendar_month, instant_text
from metering.batch import store
from metering.calculator import aggregate
from metering.models import Event, MeterRow
from metering.selectors.usage import usage_buckets, usage_of
from tests.metering.rows import call, submission
from tests.workspaces import customer, meter, workspace

pytestmark = pytest.mark.django_db

UTC = ZoneInfo("UTC")
KOLKATA = ZoneInfo("Asia/Kolkata")


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}+00:00")


RECEIVED_AT = at("04-02T00:00")
# Every example of a property has a meter of its own.
NUMBERS = count()


@pytest.fixture
def acme():
    return workspace()


def sent(acme, *events) -> None:
    """Store events as the writer does, as if received on 2 April."""
    with clock_at(RECEIVED_AT):
        store([submission(acme, list(events))])


def used(key: str, time: str, quantity=1, **more):
    return call(key, quantity, timestamp=instant_text(at(time)), **more)


def quantity(acme, row: MeterRow, period: Period, **options) -> Decimal:
    (group,) = usage_of(
        tenant=acme.tenant,
        customer_id=acme.customer.pk,
        meter=row.meter(),
        period=period,
        zone=UTC,
        **options,
    )
    return group.quantity


@pytest.mark.promise("P15")
def test_a_month_in_kolkata_starts_and_ends_in_the_middle_of_an_hour(acme):
    row = meter(acme.tenant, "tokens", "SUM", event_name="api.call")
    sent(
        acme,
        used("before", "02-28T18:29:59", 1),
        used("first", "02-28T18:30:00", 10),
        used("middle", "03-15T12:00:00", 100),
        used("last", "03-31T18:29:59", 1000),
        used("after", "03-31T18:30:00", 10000),
    )
    march = calendar_month("2026-03", KOLKATA)

    hours = usage_buckets(tenant=acme.tenant, customer_id=acme.customer.pk, meter=row.meter(), period=march)

    assert [(hour.hour, hour.partial.sum) for hour in hours] == [
        (at("02-28T18:30"), 10),
        (at("03-15T12:00"), 100),
        (at("03-31T18:00"), 1000),
    ]
    # 10 + 100 + 1000
    assert quantity(acme, row, march) == 1110


def test_whole_hours_are_read_from_buckets_alone(acme):
    row = meter(acme.tenant, "tokens", "SUM", event_name="api.call")
    sent(acme, used("k1", "03-15T12:10:00", 3), used("k2", "03-15T13:10:00", 4))
    Event.objects.all().delete()

    assert quantity(acme, row, Period(at("03-15T12:00"), at("03-15T14:00"))) == 7
    # The hour from 13:00 is cut at 13:30, and its events are gone.
    assert quantity(acme, row, Period(at("03-15T12:00"), at("03-15T13:30"))) == 3


def test_windows_are_cut_in_the_zone_and_all_listed(acme):
    row = meter(acme.tenant, "tokens", "SUM", event_name="api.call")
    sent(
        acme,
        used("k1", "03-01T18:29:59", 1),
        used("k2", "03-01T18:30:00", 2),
        used("k3", "03-03T10:00:00", 4),
    )
    days = Period(at("02-28T18:30"), at("03-03T18:30"))

    (group,) = usage_of(
        tenant=acme.tenant,
        customer_id=acme.customer.pk,
        meter=row.meter(),
        period=days,
        window="day",
        zone=KOLKATA,
    )

    assert group.quantity == 7
    assert [(window.period.start, window.quantity) for window in group.windows] == [
        (at("02-28T18:30"), 1),
        (at("03-01T18:30"), 2),
        (at("03-02T18:30"), 4),
    ]


def test_the_day_the_clock_changes_has_23_hours(acme):
    row = acme.meter
    # Berlin goes from +1 to +2 at 01:00Z on 29 March; the 29th ends at 22:00Z.
    sent(acme, used("k1", "03-28T23:00:00"), used("k2", "03-29T21:59:59"), used("k3", "03-29T22:00:00"))

    (group,) = usage_of(
        tenant=acme.tenant,
        customer_id=acme.customer.pk,
        meter=row.meter(),
        period=Period(at("03-28T23:00"), at("03-30T22:00")),
        window="day",
        zone=ZoneInfo("Europe/Berlin"),
    )

    assert [window.quantity for window in group.windows] == [2, 1]
    assert group.windows[0].period.end - group.windows[0].period.start == timedelta(hours=23)


@pytest.mark.promise("P41")
def test_each_aggregation_over_buckets_and_cut_hours(acme):
    rows = {
        name: meter(
            acme.tenant,
            name,
            name,
            event_name="api.call",
            value_property="latency_ms",
            percentile=Decimal(50) if name == "PERCENTILE" else None,
        )
        for name in MeterRow.Aggregation.values
    }
    latencies = ["12.5", 40, "7", 40]
    times = ["03-15T11:45:00", "03-15T12:10:00", "03-15T13:59:00", "03-15T14:10:00"]
    sent(
        acme,
        *(
            used(f"k{place}", time, latency_ms=value)
            for place, (time, value) in enumerate(zip(times, latencies, strict=True))
        ),
        used("without", "03-15T12:30:00"),
    )
    period = Period(at("03-15T11:30"), at("03-15T14:30"))

    found = {name: quantity(acme, row, period) for name, row in rows.items()}

    # Sum 12.5 + 40 + 7 + 40; unique "12.5", "40", "7" and the missing one; of 7, 12.5, 40, 40 the second is the median.
    # Level: 15 minutes 0, 25 of 12.5, 109 of 40, 11 of 7, 20 of 40: 5,549.5 over 180 minutes.
    assert found == {
        "COUNT": 5,
        "SUM": Decimal("99.5"),
        "MAX": 40,
        "MIN": 7,
        "AVG": Decimal("24.875"),
        "UNIQUE": 4,
        "LATEST": 40,
        "PERCENTILE": Decimal("12.5"),
        "WEIGHTED_SUM": EXACT.divide(Decimal("5549.5"), Decimal(180)),
    }


def test_a_level_lasts_from_before_the_period_and_through_its_windows(acme):
    row = meter(acme.tenant, "seats", "WEIGHTED_SUM")
    sent(
        acme,
        *(
            {
                "id": name,
                "metric": "seats",
                "customer_id": "cust_abc",
                "quantity": seats,
                "time": f"2026-{time}Z",
            }
            for name, seats, time in (
                ("a", 8, "03-10T09:00:00"),
                ("b", 4, "03-10T12:10:00"),
                ("c", 10, "03-10T13:30:00"),
            )
        ),
    )
    (group,) = usage_of(
        tenant=acme.tenant,
        customer_id=acme.customer.pk,
        meter=row.meter(),
        period=Period(at("03-10T12:30"), at("03-10T15:00")),
        window="hour",
        zone=UTC,
    )

    # 4 until 13:30, then 10: 30 minutes of 4; 30 of 4 and 30 of 10; an hour of 10 without any event.
    assert [window.quantity for window in group.windows] == [4, 7, 10]
    # (60 x 4 + 90 x 10) / 150
    assert group.quantity == Decimal("7.6")


def test_fractions_in_properties_are_summed_exactly(acme):
    row = meter(acme.tenant, "cost", "SUM", event_name="api.call", value_property="cost")
    body = (
        b'[{"id": "a", "metric": "api.call", "customer_id": "cust_abc", "time": "2026-03-15T12:00:00Z", "cost": 0.1},'
        b' {"id": "b", "metric": "api.call", "customer_id": "cust_abc", "time": "2026-03-15T12:01:00Z", "cost": 0.2}]'
    )
    with clock_at(RECEIVED_AT):
        store([submission(acme, body)])

    # As binary fractions these would be 0.30000000000000004.
    assert quantity(acme, row, Period(at("03-15T12:00"), at("03-15T12:30"))) == Decimal("0.3")
    assert quantity(acme, row, Period(at("03-15T12:00"), at("03-15T13:00"))) == Decimal("0.3")


def test_groups_are_by_the_dimensions_asked_for(acme):
    row = meter(acme.tenant, "tokens", "SUM", event_name="api.call", group_by=["model", "region"])
    sent(
        acme,
        used("k1", "03-15T12:00:00", 1, model="m1", region="eu"),
        used("k2", "03-15T12:00:00", 2, model="m1", region="us"),
        used("k3", "03-15T13:40:00", 4, model="m2"),
    )
    ask = {
        "tenant": acme.tenant,
        "customer_id": acme.customer.pk,
        "meter": row.meter(),
        "period": Period(at("03-15T12:00"), at("03-15T13:50")),
        "zone": UTC,
    }

    assert [(group.by, group.quantity) for group in usage_of(**ask)] == [({}, 7)]
    assert [(group.by, group.quantity) for group in usage_of(**ask, group_by=["model"])] == [
        ({"model": "m1"}, 3),
        ({"model": "m2"}, 4),
    ]
    assert [(group.by, group.quantity) for group in usage_of(**ask, group_by=["region", "model"])] == [
        ({"region": "", "model": "m2"}, 4),
        ({"region": "eu", "model": "m1"}, 1),
        ({"region": "us", "model": "m1"}, 2),
    ]


def test_filters_hold_in_cut_hours_too(acme):
    row = meter(
        acme.tenant,
        "errors",
        "COUNT",
        event_name="api.call",
        filters=[{"field": "status", "operator": "GREATER_THAN", "value": 499}],
    )
    sent(
        acme,
        used("k1", "03-15T12:10:00", status=500),
        used("k2", "03-15T12:20:00", status=200),
        used("k3", "03-15T13:10:00", status=503),
    )

    assert quantity(acme, row, Period(at("03-15T12:05"), at("03-15T14:00"))) == 2


def test_other_customers_meters_and_tenants_do_not_count(acme):
    other = workspace("other")
    customer(acme.tenant, "cust_two")
    sent(acme, used("k1", "03-15T12:10:00"), used("k2", "03-15T12:10:00", customer_id="cust_two"))
    with clock_at(RECEIVED_AT):
        store([submission(other, [used("k1", "03-15T12:10:00")])])

    for period in (
        Period(at("03-15T12:00"), at("03-15T13:00")),
        Period(at("03-15T12:05"), at("03-15T12:15")),
    ):
        assert quantity(acme, acme.meter, period) == 1


def test_too_many_windows_and_unknown_dimensions_are_refused(acme):
    year = Period(at("01-01T00:00"), at("12-31T00:00"))

    for options, field in [({"window": "hour"}, "window"), ({"group_by": ["model"]}, "group_by")]:
        with pytest.raises(Problem) as caught:
            quantity(acme, acme.meter, year, **options)
        assert caught.value.code == "input_invalid"
        assert list(caught.value.facts["errors"]) == [field]


@pytest.mark.promise("P15")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    minutes=st.lists(st.integers(0, 6 * 60), max_size=25),
    values=st.lists(st.decimals(-5, 5, places=2), min_size=25, max_size=25),
    start=st.integers(0, 3 * 60),
    length=st.integers(1, 4 * 60),
    zone=st.sampled_from(["UTC", "Asia/Kolkata", "Asia/Kathmandu"]),
    window=st.sampled_from(["hour", "day"]),
    data=st.data(),
)
def test_any_period_and_window_says_what_the_events_say(
    acme, minutes, values, start, length, zone, window, data
):
    token = f"meter{next(NUMBERS)}"
    aggregation = data.draw(st.sampled_from(MeterRow.Aggregation.values))
    percentile = Decimal(95) if aggregation == "PERCENTILE" else None
    row = meter(
        acme.tenant,
        token,
        aggregation,
        value_property="value_of",
        group_by=["model"],
        percentile=percentile,
    )
    since = at("03-15T09:00")
    events = [
        {
            "key": f"{token}-{place}",
            "timestamp": instant_text(since + timedelta(minutes=minute)),
            "properties": {"value_of": str(values[place]), "model": f"m{place % 2}"},
        }
        for place, minute in enumerate(minutes)
    ]
    if events:
        sent(
            acme,
            *(
                {
                    "id": event["key"],
                    "metric": token,
                    "customer_id": "cust_abc",
                    "time": event["timestamp"],
                    "properties": event["properties"],
                }
                for event in events
            ),
        )
    period = Period(since + timedelta(minutes=start), since + timedelta(minutes=start + length))
    bounds = {"start": instant_text(period.start), "end": instant_text(period.end)}
    request = {
        "aggregation": aggregation,
        "property": "value_of",
        "period": bounds,
        "percentile": percentile and str(percentile),
    }

    groups = usage_of(
        tenant=acme.tenant,
        customer_id=acme.customer.pk,
        meter=row.meter(),
        period=period,
        window=window,
        zone=ZoneInfo(zone),
        group_by=["model"],
    )

    def recounted(events, **more):
        """The calculator's answer over the events alone; a level begins with the last of them before the period."""
        before = [(event["timestamp"], event["key"], event) for event in events]
        before = [one for one in before if one[0] < bounds["start"]]
        begins = before and aggregation == "WEIGHTED_SUM"
        initial = max(before)[2]["properties"]["value_of"] if begins else None
        return aggregate({**request, "events": events, "initial": initial, **more})

    by_model = {name: [one for one in events if one["properties"]["model"] == name] for name in ("m0", "m1")}
    assert [
        (group.by["model"], [(instant_text(one.period.start), one.quantity) for one in group.windows])
        for group in groups
    ] == [
        (
            name,
            [
                (one["start"], Decimal(one["quantity"]))
                for one in recounted(inside, window={"size": window, "timezone": zone})["windows"]
            ],
        )
        for name, inside in by_model.items()
        if any(
            one["timestamp"] < bounds["end"]
            and (one["timestamp"] >= bounds["start"] or aggregation == "WEIGHTED_SUM")
            for one in inside
        )
    ]
    assert quantity(acme, row, period) == Decimal(recounted(events)["quantity"])
