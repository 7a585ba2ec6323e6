"""Retention: months leave the database and come back to the last digit; keys, buckets and invoices do not notice."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, month_later
from metering.archive import ArchiveDamaged, events_read
from metering.batch import store
from metering.conservation import events_stored
from metering.models import ArchiveFile, Bucket, Event
from metering.selectors.events import event_for
from metering.selectors.usage import usage_of
from metering.services.archive import month_archive, month_restore, months_due
from metering.services.corrections import event_void
from tests.api.conftest import Api
from tests.metering.rows import call, submission, tally
from tests.workspaces import meter, workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_empty")]

# Of the month that lies 6 back, and so may be archived; and of the present one.
OLD = month_later(now().date().replace(day=1), -6)
THEN = datetime(OLD.year, OLD.month, 10, 12, 30, tzinfo=UTC)
MONTH = Period(
    datetime(OLD.year, OLD.month, 1, tzinfo=UTC),
    datetime.combine(month_later(OLD, 1), datetime.min.time(), UTC),
)


@pytest.fixture
def acme(settings, tmp_path):
    settings.ARCHIVE_DIR = str(tmp_path / "archive")
    made = workspace()
    meter(made.tenant, "paths", aggregation="UNIQUE", event_name="api.call", value_property="path")
    old = [call(f"old{n}", "0.1000000001", path=f"/{n % 3}", note="tab\tand\nline \\ end") for n in range(50)]
    store([submission(made, old, received_at=THEN), submission(made, call("new"))])
    return made


@pytest.fixture(autouse=True)
def months_kept():
    """A month that a test drops is there again for the next."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM metering_archive_file")


def rows() -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT e.*, e.quantity::text, e.properties::text FROM metering_event e ORDER BY key")
        return cursor.fetchall()


def usage(of, key: str, period: Period = MONTH) -> str:
    found = {row.key: row.meter() for row in type(of.meter).objects.filter(tenant=of.tenant)}
    (group,) = usage_of(
        tenant=of.tenant, customer_id=of.customer.pk, meter=found[key], period=period, zone=ZoneInfo("UTC")
    )
    return str(group.quantity)


def told(*words: str) -> dict:
    out = StringIO()
    call_command("archive", *words, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_a_month_leaves_and_comes_back_as_it_was(acme, tmp_path):
    before = rows()

    (file,) = month_archive(month=OLD)

    assert [row[7] for row in rows()] == ["new"]
    assert (file.tenant, file.rows, file.path) == (acme.tenant, 50, f"{OLD:%Y-%m}/acme_corp-live.parquet")
    path = tmp_path / "archive" / file.path
    assert {event.quantity for event in events_read(path)} == {"0.1000000001"}
    manifest = json.loads((path.parent / "manifest.json").read_text())
    assert manifest["files"] == [
        {
            "tenant": "acme_corp",
            "environment": "live",
            "path": file.path,
            "rows": 50,
            "sha256": file.sha256,
        }
    ]

    assert month_restore(month=OLD) == 50
    assert rows() == before
    assert not ArchiveFile.objects.exists()


@pytest.mark.promise("P22", "P23")
def test_an_archived_key_is_known_for_ever(acme):
    month_archive(month=OLD)

    again = submission(acme, [call("old1", "0.1000000001", path="/1", note="tab\tand\nline \\ end")])
    other = submission(acme, [call("old2", 7)])
    (first,), (second,) = store([again, other])

    assert (first.verdict, second.verdict) == ("duplicate", "conflict")
    assert tally(acme) == {"received": 53, "accepted": 51, "duplicates": 1, "dead_letters": 1}
    assert events_stored(acme.tenant) == 51


def test_usage_from_buckets_stays_and_what_needs_events_says_where_they_are(acme):
    assert (usage(acme, "api.call"), usage(acme, "paths")) == ("50", "3")

    month_archive(month=OLD)

    assert usage(acme, "api.call") == "50"
    with pytest.raises(Problem, match=f"archive restore {OLD:%Y-%m}") as caught:
        usage(acme, "paths")
    assert caught.value.code == "events_archived"
    # An hour that is cut in the middle, too; the next month is not touched.
    with pytest.raises(Problem, match="archive"):
        usage(acme, "api.call", Period(THEN - timedelta(minutes=5), THEN + timedelta(minutes=5)))
    assert usage(acme, "paths", Period(MONTH.end, MONTH.end + timedelta(days=1))) == "0"

    month_restore(month=OLD)
    assert usage(acme, "paths") == "3"


def test_an_archived_event_says_where_it_is_and_cannot_be_corrected(acme):
    month_archive(month=OLD)

    for ask in (
        lambda: event_for(acme.tenant, "old1"),
        lambda: event_void(tenant=acme.tenant, key="old1", reason="Test", actor="tests"),
    ):
        with pytest.raises(Problem, match=r"acme_corp-live\.parquet"):
            ask()
    answer = Api(acme.key).get("/v1/events/old1")
    assert (answer.status_code, answer.json()["code"]) == (409, "events_archived")
    assert Api(acme.key).get("/v1/events/new").status_code == 200


def test_rows_that_come_in_while_files_are_written_stop_the_drop(acme):
    def another(count: int) -> None:
        store([submission(acme, call("meanwhile"), received_at=THEN)])

    with pytest.raises(Problem, match="came in meanwhile"):
        month_archive(month=OLD, on_rows=another)
    assert Event.objects.count() == 52

    assert sum(file.rows for file in month_archive(month=OLD)) == 51


def test_what_comes_into_an_archived_month_is_archived_beside_it(acme):
    month_archive(month=OLD)
    store([submission(acme, call("replayed"), received_at=THEN)])

    (second,) = month_archive(month=OLD)

    assert (second.rows, second.path) == (1, f"{OLD:%Y-%m}/acme_corp-live.1.parquet")
    assert month_restore(month=OLD) == 51


def test_a_damaged_file_restores_nothing(acme, tmp_path):
    (file,) = month_archive(month=OLD)
    path = tmp_path / "archive" / file.path
    path.write_bytes(path.read_bytes()[:-1] + b"?")

    with pytest.raises(ArchiveDamaged, match="SHA-256"):
        month_restore(month=OLD)
    path.unlink()
    with pytest.raises(ArchiveDamaged, match="is not there"):
        month_restore(month=OLD)

    assert Event.objects.count() == 1
    assert ArchiveFile.objects.count() == 1


def test_months_are_due_once_so_many_whole_ones_are_kept(acme):
    assert [due.month for due in months_due(kept_months=4)] == [OLD]
    assert [due.month for due in months_due(kept_months=5)] == [OLD]
    assert months_due(kept_months=6) == []
    with pytest.raises(Problem, match="At least 4"):
        months_due(kept_months=3)


def test_the_command_says_what_it_would_do_and_does_it_once(acme):
    name = f"{OLD:%Y-%m}"
    with pytest.raises(CommandError, match="EVENTS_KEPT_MONTHS"):
        told("run")

    assert told("run", "--keep-months", "4", "--dry-run") == {
        "would be archived": [{"month": name, "rows": 50}]
    }
    assert Event.objects.count() == 51
    (file,) = told("run", "--keep-months", "4")["archived"]
    assert file["rows"] == 50
    assert told("run", "--keep-months", "4") == {"archived": []}
    assert told("status") == {"archived": [{"month": name, "rows": 50}], "due": []}
    assert told("restore", name) == {"restored": [{"month": name, "rows": 50}]}
    with pytest.raises(CommandError, match="is not archived"):
        told("restore", name)
    assert (
        sum(Bucket.objects.filter(tenant=acme.tenant, meter=acme.meter).values_list("count", flat=True)) == 51
    )
