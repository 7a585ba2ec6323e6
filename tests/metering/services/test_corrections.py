"""Corrections: what counts after amends and voids, from buckets and from events alike; the event itself stays."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from django.db import DatabaseError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, instant_text
from metering.batch import store
from metering.calculator import aggregate
from metering.conservation import conservation_for, events_stored
from metering.models import Bucket, Correction, Event, Identity, MeterRow
from metering.selectors.corrections import corrections_for, counting_event_for
from metering.selectors.events import event_for, events_for
from metering.selectors.usage import usage_of
from metering.services.corrections import event_amend, event_void
from metering.services.reaggregation import UsageHour, hours_reaggregate
from tests.metering.rows import call, submission, tally
from tests.workspaces import customer, meter, workspace

pytestmark = pytest.mark.django_db

UTC = ZoneInfo("UTC")
RECEIVED_AT = datetime(2026, 4, 2, tzinfo=UTC)
MARCH_15 = Period(datetime(2026, 3, 15, tzinfo=UTC), datetime(2026, 3, 16, tzinfo=UTC))
NUMBERS = count()


@pytest.fixture
def acme():
    return workspace()


@pytest.fixture(autouse=True)
def _in_april():
    with clock_at(RECEIVED_AT):
        yield


@pytest.fixture
def tokens(acme) -> MeterRow:
    return meter(acme.tenant, "tokens", "SUM", event_name="api.call")


def sent(acme, *events) -> list[str]:
    (outcomes,) = store([submission(acme, list(events))])
    return [outcome.verdict for outcome in outcomes]


def at_noon(key: str, quantity=1, minute: int = 0, **more):
    return call(key, quantity, timestamp=f"2026-03-15T12:{minute:02}:00Z", **more)


def amend(acme, key: str = "k1", reason: str = "Counted twice by us.", **changes):
    return event_amend(tenant=acme.tenant, key=key, changes=changes, reason=reason, actor="ada")


def void(acme, key: str = "k1", reason: str = "A test."):
    return event_void(tenant=acme.tenant, key=key, reason=reason, actor="ada")


def usage(acme, row: MeterRow, period: Period = MARCH_15, customer=None, **options) -> Decimal:
    (group,) = usage_of(
        tenant=acme.tenant,
        customer_id=(customer or acme.customer).pk,
        meter=row.meter(),
        period=period,
        zone=UTC,
        **options,
    )
    return group.quantity


def test_an_amended_event_counts_as_amended_and_stays_as_it_was(acme, tokens):
    sent(acme, at_noon("k1", 1000, model="m1"), at_noon("k2", 5))
    row, identity = Event.objects.get(key="k1"), Identity.objects.count()

    correction, is_new = amend(acme, quantity="900")

    assert is_new
    assert (correction.kind, correction.sequence, correction.actor) == ("AMEND", 1, "ada")
    assert json.loads(correction.before)["quantity"] == "1000"
    assert json.loads(correction.after) == {
        "customer_id": "cust_abc",
        "metric": "api.call",
        "properties": {"model": "m1"},
        "quantity": "900",
        "timestamp": "2026-03-15T12:00:00Z",
    }
    # 900 + 5, by buckets and by the events of a cut hour; before 1,000 + 5.
    half_past = Period(MARCH_15.start, MARCH_15.start + timedelta(hours=12, minutes=30))
    assert usage(acme, tokens) == usage(acme, tokens, half_past) == 905
    assert (
        usage(acme, tokens, is_corrected=False) == usage(acme, tokens, half_past, is_corrected=False) == 1005
    )
    # Two events were received and are stored, whatever was put in the place of one.
    assert usage(acme, acme.meter) == 2
    assert Event.objects.get(identity=row.identity).quantity == 1000
    assert Identity.objects.count() == identity == events_stored(acme.tenant) == 2
    assert tally(acme) == {"received": 2, "accepted": 2, "late": 2}
    assert conservation_for(acme.tenant).is_conserved
    assert event_for(acme.tenant, "k1").quantity == 1000
    assert counting_event_for(acme.tenant, "k1").quantity == 900
    assert [(event.idempotency_key, event.quantity) for event in events_for(acme.tenant, limit=9)] in (
        [("k1", 900), ("k2", 5)],
        [("k2", 5), ("k1", 900)],
    )


def test_amends_follow_each_other_and_a_void_ends_them(acme, tokens):
    sent(acme, at_noon("k1", 10))

    for quantity in ("20", "30", "5"):
        amend(acme, quantity=quantity)
        assert usage(acme, tokens) == Decimal(quantity)
    void(acme)

    assert usage(acme, tokens) == usage(acme, acme.meter) == 0
    assert usage(acme, tokens, is_corrected=False) == 10
    assert not Bucket.objects.exists()
    assert counting_event_for(acme.tenant, "k1") is None
    assert events_for(acme.tenant, limit=9) == []
    told = [
        (one.sequence, one.kind, one.before and json.loads(one.before)["quantity"])
        for one in corrections_for(acme.tenant)
    ]
    assert told == [(4, "VOID", "5"), (3, "AMEND", "30"), (2, "AMEND", "20"), (1, "AMEND", "10")]
    with pytest.raises(Problem) as caught:
        amend(acme, quantity="7")
    assert (caught.value.code, caught.value.status) == ("state_conflict", 409)
    assert "was voided at 2026-04-02T00:00:00Z" in caught.value.detail


def test_the_same_correction_twice_is_one(acme, tokens):
    sent(acme, at_noon("k1", 10))
    first = amend(acme, quantity=20)

    assert amend(acme, quantity="20.0", reason="Sent again.") == (first.correction, False)
    gone = void(acme)
    assert void(acme, reason="Once more.") == (gone.correction, False)

    assert Correction.objects.count() == 2
    assert Correction.objects.get(kind="VOID").reason == "A test."


def test_an_event_moves_to_another_customer_meter_hour_and_month(acme, tokens):
    other = customer(acme.tenant, "cust_two")
    seats = meter(acme.tenant, "seats", "SUM")
    sent(acme, at_noon("k1", 10), at_noon("k2", 1))

    amend(acme, customer_id="cust_two", metric="seats", timestamp="2026-01-20T09:59:59Z")

    january = Period(datetime(2026, 1, 20, 9, tzinfo=UTC), datetime(2026, 1, 20, 10, tzinfo=UTC))
    assert usage(acme, tokens) == 1
    assert usage(acme, seats, january, customer=other) == 10
    assert usage(acme, seats, january, customer=other, is_corrected=False) == 0
    assert usage(acme, tokens, is_corrected=False) == 11
    moved = counting_event_for(acme.tenant, "k1")
    assert (moved.customer_id, moved.metric, moved.is_late) == ("cust_two", "seats", True)
    for name in ("cust_abc", "cust_two"):
        assert corrections_for(acme.tenant, customer_id=name).count() == 1
    assert corrections_for(acme.tenant, customer_id="cust_abc", metric="seats").count() == 1


@pytest.mark.promise("P15")
def test_dimensions_of_a_corrected_hour_follow_the_meter(acme):
    by_model = meter(acme.tenant, "by_model", "MAX", event_name="api.call", group_by=["model"])
    sent(acme, at_noon("k1", 10, model="m1"), at_noon("k2", 7, model="m1"), at_noon("k3", 3, model="m2"))

    amend(acme, properties={"model": "m2"})

    groups = usage_of(
        tenant=acme.tenant,
        customer_id=acme.customer.pk,
        meter=by_model.meter(),
        period=MARCH_15,
        zone=UTC,
        group_by=["model"],
    )
    # The maximum of m1 falls back to 7, which no subtraction could tell.
    assert [(group.by["model"], group.quantity) for group in groups] == [("m1", 7), ("m2", 10)]


def test_only_the_touched_hour_is_aggregated_again(acme, tokens):
    sent(acme, at_noon("k1", 10), call("k2", 5, timestamp="2026-03-15T13:00:00Z"))
    Event.objects.filter(key="k2").delete()

    amend(acme, quantity=11)

    assert usage(acme, tokens) == 16


def test_a_retry_of_a_corrected_event_is_a_duplicate(acme, tokens):
    sent(acme, at_noon("k1", 10), at_noon("k2", 10))
    amend(acme, "k1", quantity=11)
    void(acme, "k2")

    assert sent(acme, at_noon("k1", 10), at_noon("k2", 10), call("k2", 10)) == ["duplicate"] * 3
    # The corrected content is another content: the first one stands.
    assert sent(acme, at_noon("k1", 11)) == ["conflict"]
    assert usage(acme, tokens) == 11


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": "much"}, "field_invalid"),
        ({"quantity": "-1"}, "quantity_negative"),
        ({"customer_id": "cust_abd"}, "customer_unknown"),
        ({"metric": "api.cal"}, "metric_unknown"),
        ({"properties": ["m1"]}, "field_invalid"),
        # Received on 2 April: 5 minutes ahead of now are accepted, 90 days before receipt.
        ({"timestamp": "2026-04-02T00:05:01Z"}, "timestamp_in_future"),
        ({"timestamp": "2026-01-01T23:59:59Z"}, "timestamp_too_old"),
        ({"timestamp": "yesterday"}, "field_invalid"),
        ({"quantity": "10"}, "input_invalid"),
        ({}, "input_invalid"),
    ],
)
def test_an_amend_is_judged_like_any_event_and_a_refused_one_changes_nothing(acme, tokens, changes, code):
    sent(acme, at_noon("k1", 10))
    with pytest.raises(Problem) as caught:
        amend(acme, **changes)
    assert caught.value.code == code
    assert not Correction.objects.exists()
    assert usage(acme, tokens) == 10


def test_time_is_judged_at_receipt_and_the_future_now(acme, tokens):
    sent(acme, at_noon("k1", 10))
    with clock_at(RECEIVED_AT + timedelta(days=120)):
        # 60 days before receipt and 180 before now; then 100 days after receipt, which is not the future any more.
        amend(acme, timestamp="2026-02-01T00:00:00Z")
        amend(acme, timestamp=instant_text(RECEIVED_AT + timedelta(days=100)))
    assert counting_event_for(acme.tenant, "k1").timestamp == RECEIVED_AT + timedelta(days=100)


def test_what_is_not_stored_cannot_be_corrected(acme):
    other = workspace("globex")
    sent(other, at_noon("k1"))
    for work in (amend, void):
        with pytest.raises(Problem) as caught:
            work(acme)
        assert caught.value.code == "not_found"


def test_exact_numbers_in_properties_stay_exact(acme):
    cost = meter(acme.tenant, "cost", "SUM", event_name="api.call", value_property="cost")
    body = b'[{"id": "k1", "metric": "api.call", "customer_id": "cust_abc", "time": "2026-03-15T12:00:00Z", "cost": 0.1}]'
    store([submission(acme, body)])

    amend(acme, quantity=2)
    assert usage(acme, cost) == Decimal("0.1")
    amend(acme, properties={"cost": Decimal("0.30000000000000000001")})
    assert usage(acme, cost) == Decimal("0.30000000000000000001")


def test_the_database_keeps_corrections_as_they_are(acme, tokens):
    sent(acme, at_noon("k1", 10))
    void(acme)
    for change in (lambda rows: rows.update(reason="Other."), lambda rows: rows.delete()):
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
            change(Correction.objects.all())


MINUTES = st.integers(0, 3 * 60)
VALUES = st.decimals(-5, 5, places=1).map(str)
STEP = st.one_of(
    st.tuples(st.just("send"), st.integers(0, 7), MINUTES, VALUES),
    st.tuples(st.just("amend"), st.integers(0, 7), MINUTES, VALUES),
    st.tuples(st.just("void"), st.integers(0, 7), MINUTES, VALUES),
)


@pytest.mark.promise("P15")
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=20), start=st.integers(0, 90), length=st.integers(1, 150))
def test_any_sequence_of_events_amends_and_voids_counts_like_the_events_that_are_left(
    acme, steps, start, length
):
    token = f"metric{next(NUMBERS)}"
    since = datetime(2026, 3, 15, 9, tzinfo=UTC)
    rows = {
        aggregation: meter(
            acme.tenant,
            f"{token}-{aggregation}",
            aggregation,
            event_name=token,
            value_property="number",
            group_by=["model"],
            percentile=Decimal(50) if aggregation == "PERCENTILE" else None,
        )
        for aggregation in MeterRow.Aggregation.values
    }
    # What counts, by key: with corrections and without.
    after: dict[str, dict] = {}
    before: dict[str, dict] = {}
    voided = set()
    for kind, number, minute, value in steps:
        key = f"{token}-{number}"
        said = {
            "timestamp": instant_text(since + timedelta(minutes=minute)),
            "properties": {"number": value, "model": f"m{minute % 2}"},
        }
        if kind == "send" and key not in before:
            sent(acme, {"id": key, "metric": token, "customer_id": "cust_abc", **said})
            after[key] = before[key] = {"key": key, **said}
        elif kind == "amend" and key in after and after[key] != {"key": key, **said}:
            amend(acme, key, **said)
            after[key] = {"key": key, **said}
        elif kind == "void" and key in after:
            void(acme, key)
            voided.add(key)
            del after[key]
    period = Period(since + timedelta(minutes=start), since + timedelta(minutes=start + length))

    for aggregation, row in rows.items():
        for is_corrected, counted in ((True, after), (False, before)):
            expected = _recounted(aggregation, period, list(counted.values()))
            assert usage(acme, row, period, is_corrected=is_corrected) == expected, aggregation
    with transaction.atomic():
        _rebuild(acme, token)
        for aggregation, row in rows.items():
            assert usage(acme, row, period) == _recounted(aggregation, period, list(after.values())), (
                aggregation
            )


def _rebuild(acme, token: str) -> None:
    """Every hour of the metric made anew changes nothing."""
    since = datetime(2026, 3, 15, 9, tzinfo=UTC)
    hours = [UsageHour(acme.customer.pk, token, since + timedelta(hours=hour)) for hour in range(4)]
    hours_reaggregate(tenant=acme.tenant, hours=hours)


def _recounted(aggregation: str, period: Period, events: list[dict]) -> Decimal:
    start = instant_text(period.start)
    earlier = [event for event in events if event["timestamp"] < start]
    last = max(earlier, key=lambda event: (event["timestamp"], event["key"]), default=None)
    request = {
        "aggregation": aggregation,
        "property": "number",
        "period": {"start": start, "end": instant_text(period.end)},
        "percentile": "50" if aggregation == "PERCENTILE" else None,
        "initial": last["properties"]["number"] if last and aggregation == "WEIGHTED_SUM" else None,
        "events": events,
    }
    return Decimal(aggregate(request)["quantity"])
