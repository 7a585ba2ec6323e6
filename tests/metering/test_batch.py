"""Submissions to rows: each event ends in exactly one place, and is counted there once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from django.db import connection

from aforo.kernel.clock import clock_at, now
from aforo.kernel.errors import Problem
from metering import ports
from metering.batch import store
from metering.intake import accept_all
from metering.intake.identity import identity_of
from metering.models import Bucket, DeadLetter, Duplicate, Event, Identity, LogEntry, Tally, UsageContext
from metering.packing import accepted_pack, submission_unpack
from metering.ports import CustomerRef
from tests.workspaces import meter, workspace

from .builders import FixedDirectory
from .rows import call, submission, tally

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)


@pytest.fixture
def acme():
    return workspace()


@pytest.fixture(autouse=True)
def _noon():
    with clock_at(NOON):
        yield


def verdicts(acme, body, **changes):
    """What became of the events of one submission."""
    (outcomes,) = store([submission(acme, body, **changes)])
    return [outcome.verdict for outcome in outcomes]


@pytest.mark.promise("P14")
def test_an_event_becomes_a_row_with_all_that_it_said(acme):
    event = call("k1", "2.50", timestamp="2026-03-15T11:59:00.25Z", source="kong", model="gpt-4o", price=0.1)

    assert verdicts(acme, event) == ["accepted"]

    row = Event.objects.get()
    assert (row.key, row.quantity, row.occurred_at) == (
        "k1",
        Decimal("2.50"),
        NOON - timedelta(seconds=59.75),
    )
    assert (row.received_at, row.is_late) == (NOON, False)
    with connection.cursor() as cursor:
        cursor.execute("SELECT properties::text FROM metering_event")
        # A tenth stays a tenth: jsonb keeps numbers as decimals.
        assert cursor.fetchone()[0] == '{"model": "gpt-4o", "price": 0.1}'
    context = UsageContext.objects.get(pk=row.context_id)
    assert (context.customer, context.metric, context.source) == (acme.customer, "api.call", "kong")
    identity = Identity.objects.get()
    assert identity.identity == row.identity == UUID(bytes=identity_of("k1"))
    assert tally(acme) == {"received": 1, "accepted": 1}


def test_texts_are_stored_as_they_are_whatever_they_hold(acme):
    key = 'tab\\t new\\n "quoted" \\N ünïcode 漢字 \U0001f600'
    body = call(key, note="line\nbreak\ttab \\ backslash \\. end")

    assert verdicts(acme, body) == ["accepted"]

    row = Event.objects.get()
    assert row.key == key
    assert row.properties == {"note": "line\nbreak\ttab \\ backslash \\. end"}


@pytest.mark.promise("P22")
def test_a_retry_is_a_duplicate_and_counts_once(acme):
    assert verdicts(acme, [call("k1"), call("k2")]) == ["accepted", "accepted"]
    assert verdicts(acme, [call("k1"), call("k2"), call("k3")]) == ["duplicate", "duplicate", "accepted"]
    # Within one body, too.
    assert verdicts(acme, [call("k4"), call("k4")]) == ["accepted", "duplicate"]

    assert Event.objects.count() == 4
    assert Bucket.objects.get().count == 4
    assert tally(acme) == {"received": 7, "accepted": 4, "duplicates": 3}


@pytest.mark.promise("P22")
def test_the_same_key_at_another_time_is_still_the_same_key(acme):
    # A key unique per month would take the second for new, and bill it again.
    assert verdicts(acme, call("k1", timestamp="2026-03-15T00:00:00Z")) == ["accepted"]
    assert verdicts(acme, call("k1", timestamp="2026-02-15T00:00:00Z")) == ["conflict"]
    # The retry without a timestamp happened "now"; the first says when it was.
    assert verdicts(acme, call("k1")) == ["duplicate"]

    assert Event.objects.count() == 1


def test_another_content_under_the_key_is_a_dead_letter_and_the_first_one_stands(acme):
    first = call("k1", 1, endpoint="/a")
    other = call("k1", 2, endpoint="/b")

    assert verdicts(acme, [first, other]) == ["accepted", "conflict"]
    assert verdicts(acme, other) == ["conflict"]

    assert Event.objects.get().quantity == 1
    letters = DeadLetter.objects.all()
    assert {letter.code for letter in letters} == {"idempotency_conflict"}
    assert [json.loads(bytes(letter.payload)) for letter in letters] == [other, other]
    assert tally(acme) == {"received": 3, "accepted": 1, "dead_letters": 2}


def test_a_refused_event_is_kept_as_it_came(acme):
    event = {"id": "k1", "customerId": "nobody", "event": "api.call", "value": 1.50, "deep": {"n": [1, 2.5]}}

    assert verdicts(acme, [call("k0"), event], source="kong", is_strict=False) == ["accepted", "refused"]

    letter = DeadLetter.objects.get()
    assert (letter.code, letter.idempotency_key, letter.customer, letter.metric, letter.source) == (
        "customer_unknown",
        "k1",
        "nobody",
        "api.call",
        "kong",
    )
    assert json.loads(bytes(letter.payload)) == event
    assert letter.received_at == NOON
    assert tally(acme) == {"received": 2, "accepted": 1, "dead_letters": 1}


@pytest.mark.promise("P27")
def test_a_body_that_cannot_be_read_is_one_dead_letter(acme):
    body = b'{"customer_id": "cust_abc", ' + b"x" * 100_000
    sent = submission(acme, body)
    refused = sent.refused(Problem("body_unreadable", "The body is not valid JSON."))

    # As the answer said it, and as the writer finds it by itself.
    assert [outcome.verdict for (outcome,) in store([refused, submission(acme, body)])] == ["refused"] * 2

    for letter in DeadLetter.objects.all():
        assert letter.code == "body_unreadable"
        assert bytes(letter.payload) == body[:65_536]
        assert letter.payload_length == 100_028
        assert letter.payload_sha256 == refused.refused_body.sha256
    assert tally(acme) == {"received": 2, "dead_letters": 2}


@pytest.mark.promise("P27")
def test_the_same_submission_again_changes_nothing(acme):
    events = [call("k1"), call("k1"), call("k1", 9), {"id": "k2"}, call("k3")]
    sent = submission(acme, events)
    unreadable = submission(acme, b"[")
    store([sent, unreadable])
    before = tally(acme)
    assert before == {"received": 6, "accepted": 2, "duplicates": 1, "dead_letters": 3}

    # Read again later, and twice in one batch.
    for batch in ([sent, unreadable], [sent, sent, unreadable]):
        for outcomes in store(batch):
            assert {outcome.verdict for outcome in outcomes} == {"copy"}

    assert tally(acme) == before | {"copies": 6 + 11}
    assert Event.objects.count() == Bucket.objects.get().count == 2
    assert DeadLetter.objects.count() == 3


def test_a_copy_in_the_same_batch_is_no_duplicate(acme):
    sent = submission(acme, [call("k1"), {"id": "k2"}])

    first, second = store([sent, sent])

    assert [outcome.verdict for outcome in first] == ["accepted", "refused"]
    assert [outcome.verdict for outcome in second] == ["copy", "copy"]
    assert tally(acme) == {"received": 2, "accepted": 1, "dead_letters": 1, "copies": 2}


def test_a_copy_of_a_retry_is_not_another_retry(acme):
    retry = submission(acme, call("k1"))
    store([submission(acme, call("k1")), retry])

    ((outcome,),) = store([retry])

    assert outcome.verdict == "copy"
    assert tally(acme) == {"received": 2, "accepted": 1, "duplicates": 1, "copies": 1}
    assert Duplicate.objects.get().intake_id == retry.intake_id


def test_a_refused_event_stays_refused_when_it_is_read_again(acme):
    early = submission(acme, call("k1", metric="new.metric"))
    store([early])
    meter(acme.tenant, "new.metric")

    # Its letter is the place where it ended; only a replay moves it.
    ((outcome,),) = store([early])

    assert outcome.verdict == "copy"
    assert tally(acme) == {"received": 1, "dead_letters": 1, "copies": 1}


def test_an_accepted_event_stays_accepted_when_its_meter_is_gone(acme):
    other = meter(acme.tenant, "gone")
    sent = submission(acme, call("k1", metric="gone"))
    store([sent])
    other.delete()

    ((outcome,),) = store([sent])

    assert outcome.verdict == "copy"
    assert tally(acme) == {"received": 1, "accepted": 1, "copies": 1}


@pytest.mark.promise("P23")
def test_events_accepted_on_receipt_are_judged_anew_where_the_directory_lacks_what_they_name(acme):
    sent = submission(acme, [call("k1"), call("k2")])

    class Received(FixedDirectory):
        """Knew a customer on receipt whom the store does not know."""

        def customer(self, external_id):
            return CustomerRef(1, external_id)

    for key, customer, verdict in (("k1", "cust_abc", "accepted"), ("k2", "cust_gone", "refused")):
        one = msgspec.structs.replace(sent, body=json.dumps(call(key, customer_id=customer)).encode())
        received = msgspec.structs.replace(one, intake_id=one.intake_id + len(key + customer))
        packed = accepted_pack(accept_all(received, Received()))

        ((outcome,),) = store([msgspec.structs.replace(received, accepted=packed)])

        assert outcome.verdict == verdict
    letter = DeadLetter.objects.get()
    assert (letter.code, letter.idempotency_key) == ("customer_unknown", "k2")
    assert json.loads(bytes(letter.payload))["customer_id"] == "cust_gone"


def test_a_replayed_letter_counts_where_it_ends_and_only_once(acme):
    event = call("k1", metric="new.metric")
    sent = submission(acme, [call("k0"), event])
    store([sent])
    assert tally(acme) == {"received": 2, "accepted": 1, "dead_letters": 1}
    replay = submission(acme, event, intake_id=sent.intake_id_of(1))

    # Still refused: nothing moves, and there is no second letter.
    ((outcome,),) = store([replay], is_replay=True)
    assert (outcome.verdict, outcome.refusal.code) == ("refused", "metric_unknown")
    assert tally(acme) == {"received": 2, "accepted": 1, "dead_letters": 1}
    assert DeadLetter.objects.count() == 1

    meter(acme.tenant, "new.metric")
    for expected in ("accepted", "copy"):
        ((outcome,),) = store([replay], is_replay=True)
        assert outcome.verdict == expected
        assert {name: tally(acme)[name] for name in ("received", "accepted")} == {
            "received": 2,
            "accepted": 2,
        }
    assert "dead_letters" not in tally(acme)
    assert Event.objects.count() == 2


@pytest.mark.promise("P23")
def test_a_replayed_letter_of_what_was_sent_again_meanwhile_is_a_duplicate(acme):
    event = call("k1", metric="new.metric")
    sent = submission(acme, event)
    store([sent])
    meter(acme.tenant, "new.metric")
    store([submission(acme, event)])

    for expected in ("duplicate", "copy"):
        ((outcome,),) = store([sent], is_replay=True)
        assert outcome.verdict == expected

    assert tally(acme) == {"received": 2, "accepted": 1, "duplicates": 1, "copies": 1}


@pytest.mark.promise("P23")
def test_a_repaired_body_may_hold_several_events(acme):
    broken = submission(acme, b'[{"id": "a"')
    store([broken])
    repaired = msgspec.structs.replace(broken, body=json.dumps([call("a"), call("b"), call("a")]).encode())

    (outcomes,) = store([repaired], is_replay=True)

    # One letter becomes an accepted event; the two others are received for the first time.
    assert [outcome.verdict for outcome in outcomes] == ["accepted", "accepted", "duplicate"]
    assert tally(acme) == {"received": 3, "accepted": 2, "duplicates": 1}


def test_late_events_are_counted_and_marked(acme):
    assert verdicts(acme, call("k1", timestamp="2026-03-14T11:59:59Z")) == ["accepted"]

    assert Event.objects.get().is_late
    assert tally(acme) == {"received": 1, "accepted": 1, "late": 1}


def test_the_day_of_the_tally_is_the_day_of_receipt(acme):
    for received_at in (NOON - timedelta(days=1), NOON):
        store([submission(acme, call(received_at.isoformat()), received_at=received_at)])

    assert list(Tally.objects.order_by("day").values_list("day", "received")) == [
        ((NOON - timedelta(days=1)).date(), 1),
        (NOON.date(), 1),
    ]


def test_an_event_lies_in_the_partition_of_its_own_month(acme):
    times = ("2025-12-31T23:59:59.999999Z", "2026-01-01T00:00:00Z", "2026-03-15T12:05:00Z")
    assert verdicts(acme, [call(at, timestamp=at) for at in times]) == ["accepted"] * 3

    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM metering_event ORDER BY occurred_at")
        names = [name for (name,) in cursor.fetchall()]
    assert names == ["metering_event_2025_12", "metering_event_2026_01", "metering_event_2026_03"]


@pytest.mark.promise("P15")
def test_a_bucket_holds_what_every_aggregation_needs(acme):
    meter(acme.tenant, "tokens", "SUM", group_by=["model"], event_name="llm", value_property="tokens")
    big = meter(
        acme.tenant,
        "big",
        "COUNT",
        event_name="llm",
        filters=[{"field": "tokens", "operator": "GREATER_THAN", "value": 5}],
    )
    # 11:00 has 3, 9 and none of m1 and 4 of m2; 12:00 has 7 of m1.
    sent = [
        ("a", "11:00:00", 3, "m1"),
        ("b", "11:59:59", 9, "m1"),
        ("c", "11:30:00", None, "m1"),
        ("d", "11:30:00", 4, "m2"),
        ("e", "12:00:00", 7, "m1"),
    ]
    for key, at, tokens, model in sent:
        event = call(key, metric="llm", timestamp=f"2026-03-15T{at}Z", model=model)
        store([submission(acme, event if tokens is None else event | {"tokens": tokens})])

    rows = {
        (row.meter.key, row.hour.hour, row.dimensions): row for row in Bucket.objects.select_related("meter")
    }
    eleven = rows["tokens", 11, '{"model":"m1"}']
    assert (eleven.count, eleven.value_count, eleven.sum, eleven.max, eleven.min) == (3, 2, 12, 9, 3)
    assert (eleven.latest_key, eleven.latest_value) == ("b", 9)
    assert rows["tokens", 11, '{"model":"m2"}'].sum == 4
    assert rows["tokens", 12, '{"model":"m1"}'].sum == 7
    assert rows["big", 11, "{}"].count == rows["big", 12, "{}"].count == 1
    assert Bucket.objects.filter(meter=big).count() == 2


def test_of_two_values_at_one_instant_the_greater_key_is_the_latest(acme):
    # By code point, as in the pure aggregation: "Z" comes before "a", whatever the database's language.
    for order in (("Z", "a"), ("a2", "Z2")):
        name = "".join(order)
        meter(acme.tenant, name, "LATEST")
        for key in order:
            store([submission(acme, call(key, ord(key[0]), metric=name, timestamp="2026-03-15T11:00:00Z"))])
        assert Bucket.objects.get(meter__key=name).latest_value == ord("a")


def test_an_event_is_given_what_its_customer_had_bought_at_its_time(acme):
    upgraded_at = datetime(2026, 3, 15, 11, 37, 22, tzinfo=UTC)

    class Upgrade(ports.NothingBought):
        def context_at(self, customer_id, metric, at):
            assert customer_id == acme.customer.pk
            return ports.UsageContext(product="pro" if at >= upgraded_at else "free")

    before = ports.customer_directory()
    ports.customer_directory_fill(Upgrade())
    try:
        for second in (21, 22):
            store([submission(acme, call(f"k{second}", timestamp=f"2026-03-15T11:37:{second}Z"))])
    finally:
        ports.customer_directory_fill(before)

    products = dict(UsageContext.objects.values_list("id", "product"))
    rows = Event.objects.order_by("occurred_at").values_list("context_id", flat=True)
    assert [products[context_id] for context_id in rows] == ["free", "pro"]


@pytest.mark.promise("P27")
def test_what_the_store_refuses_is_a_dead_letter_and_the_rest_is_stored(acme):
    # A dimension of 9,000 characters that do not compress does not fit into the buckets' index.
    meter(acme.tenant, "by.text", "COUNT", group_by=["text"])
    long = "".join(chr(0x4E00 + (n * 7919) % 20_000) for n in range(9_000))
    events = [call(f"k{n}", metric="by.text", text=long if n == 5 else "short") for n in range(9)]

    assert verdicts(acme, events) == ["accepted"] * 5 + ["refused"] + ["accepted"] * 3

    letter = DeadLetter.objects.get()
    assert (letter.code, letter.idempotency_key) == ("storage_refused", "k5")
    assert json.loads(bytes(letter.payload)) == events[5]
    assert Event.objects.count() == Bucket.objects.get().count == 8
    assert tally(acme) == {"received": 9, "accepted": 8, "dead_letters": 1}
    # Its key is free: a corrected event may use it.
    assert verdicts(acme, call("k5", metric="by.text", text="short")) == ["accepted"]


@pytest.mark.promise("P27")
def test_a_submission_that_cannot_even_be_a_dead_letter_is_set_aside(acme):
    nobody = submission(acme, [call("k1"), call("k2")], tenant_id=acme.tenant.pk + 1_000_000)
    good = submission(acme, call("k1"))

    _, (outcome,) = store([nobody, good])

    assert outcome.verdict == "accepted"
    entry = LogEntry.objects.get()
    assert submission_unpack(bytes(entry.body)) == nobody
    assert "tenant" in entry.problem
    assert tally(acme) == {"received": 1, "accepted": 1}


def test_a_thousand_refused_events_are_a_thousand_letters(acme):
    assert verdicts(acme, [{"id": f"k{n}"} for n in range(1_000)]) == ["refused"] * 1_000

    assert DeadLetter.objects.count() == 1_000
    assert DeadLetter.objects.filter(received_at=now()).count() == 1_000


def test_usage_is_told_of_in_the_transaction_that_counts_it_and_once(acme):
    told = []

    class Listening(ports.NobodyToTell):
        def usage_counted(self, tenant_ids, usage):
            told.append((tenant_ids, list(usage)))

    before = ports.usage_sink()
    ports.usage_sink_fill(Listening())
    try:
        # The second is a duplicate, and the third is refused: neither is usage.
        reserved = call("k1", reservation_id="7.1.abc")
        verdicts(acme, [reserved, reserved, call("k2", customer_id="nobody")])
        verdicts(acme, reserved)
    finally:
        ports.usage_sink_fill(before)
    counted = ports.CountedUsage(acme.tenant.pk, acme.customer.pk, "api.call")
    assert told[0] == ({acme.tenant.pk}, [counted, counted._replace(reservation_id="7.1.abc")])
    assert [usage for _, usage in told[1:]] == [[]]
