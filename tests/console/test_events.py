"""The pages of the event log: what they search by, and where an event was billed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from aforo.kernel.clock import clock_at
from metering.batch import store
from metering.services.archive import month_archive
from tests.billing.builders import APRIL_2, a_tenant, demo_subscription
from tests.metering.rows import call, submission
from tests.workspaces import Workspace, workspace

from .workplace import billed, signed_in

pytestmark = pytest.mark.django_db
MARCH = datetime(2026, 3, 15, 12, tzinfo=UTC)


def page(client, name="console-events", **query):
    return client.get(reverse(name), query)


def keys(answer):
    return [each["row"].idempotency_key for each in answer.context["rows"]]


@pytest.fixture
def acme():
    made = workspace()
    with clock_at(MARCH):
        store([submission(made, [call(f"k{number:02}") for number in range(60)])])
        store([submission(made, call("refused", customer_id="nobody", source="kong"))])
    return made


def test_pages_follow_each_other_and_keep_the_search(acme):
    client = signed_in(acme.tenant)

    first = page(client, metric="api.call")
    second = client.get(f"{reverse('console-events')}?{first.context['older']}")

    assert (len(keys(first)), len(keys(second))) == (50, 11)
    assert not set(keys(first)) & set(keys(second))
    assert second.context["older"] == ""
    assert keys(page(client, status="refused", source="kong")) == ["refused"]
    assert keys(page(client, start="2026-03-16T00:00")) == []
    assert len(keys(page(client, start="2026-03-15T12:00", end="2026-03-15T12:01", status="accepted"))) == 50
    # What is no instant or status is not searched by.
    assert len(keys(page(client, start="yesterday", status="lost", after="x"))) == 50


def test_a_key_opens_its_event(acme):
    client = signed_in(acme.tenant)

    assert page(client, key="k01").headers["Location"] == reverse("console-event", args=["k01"])
    assert b"Nothing matches" in page(client, key="missing").content


def test_what_comes_in_is_followed(acme):
    client = signed_in(acme.tenant)
    with clock_at(MARCH):
        first = page(client, "console-events-live")
        assert len(keys(first)) == 50
        store([submission(acme, call("new"))])
        rows = client.get(f"{reverse('console-events-live-rows')}?{first.context['next']}")
        assert "new" in keys(rows)
        # A cursor that is none begins anew.
        assert len(keys(page(client, "console-events-live-rows", cursor="x", status="lost"))) == 50


def test_an_event_names_the_line_it_ended_in():
    tenant = a_tenant()
    subscription = demo_subscription(tenant)
    ours = Workspace(tenant, "", subscription.customer, None)

    def sent(key, timestamp):
        buyer = subscription.customer.external_id
        event = call(key, 1_000, customer_id=buyer, metric="llm.input_tokens", timestamp=timestamp)
        store([submission(ours, event)])

    with clock_at(datetime(2026, 4, 1, 1, tzinfo=UTC)):
        sent("march", "2026-03-10T00:00:00Z")
        sent("april", "2026-04-01T00:00:00Z")
    invoice = billed(tenant).items.get().invoice
    with clock_at(APRIL_2 + timedelta(hours=1)):
        sent("after", "2026-03-11T00:00:00Z")
    client = signed_in(tenant)

    def last_step(key):
        return client.get(reverse("console-event", args=[key])).context["steps"][-1]

    march = last_step("march")
    assert (march.step, march.outcome) == ("invoice", "open")
    line = invoice.lines.get(code="input")
    assert march.detail.endswith(f">{invoice.number}</a>, {line.description}: ${line.amount:.2f}.")
    assert (
        "Not invoiced yet: the period 2026-04-01T00:00:00Z to 2026-05-01T00:00:00Z"
        in last_step("april").detail
    )
    assert last_step("after").detail.startswith("It came after")


def test_another_tenants_event_is_404(acme):
    client = signed_in(workspace("other").tenant)

    assert client.get(reverse("console-event", args=["k01"])).status_code == 404
    assert keys(page(client)) == []


def test_an_archived_event_says_in_which_file_it_is(acme, settings, tmp_path):
    settings.ARCHIVE_DIR = str(tmp_path)
    month_archive(month=MARCH.date().replace(day=1))
    client = signed_in(acme.tenant)

    told = client.get(reverse("console-event", args=["k01"]))
    assert b"2026-03/acme_corp-live.parquet" in told.content
    # Searched by its key, its page is opened all the same; nobody can correct it there.
    assert page(client, key="k01").headers["Location"] == reverse("console-event", args=["k01"])
    assert client.get(reverse("console-event-void", args=["k01"])).status_code == 404
