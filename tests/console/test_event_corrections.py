"""An event's page amends and voids it, shows what became of that, and leads to the invoice that carries the difference."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from aforo.kernel.clock import clock_at
from billing.services.bill_runs import bill_run_start, bill_run_work
from metering.batch import store
from metering.models import Correction
from metering.selectors.corrections import counting_event_for
from tests.billing.builders import APRIL_2, a_fee, a_subscription
from tests.metering.rows import call, submission
from tests.workspaces import meter, workspace

from .workplace import billed, signed_in

pytestmark = pytest.mark.django_db
KEY = "team/k 1"


@pytest.fixture
def acme():
    made = workspace()
    tokens = meter(made.tenant, "tokens", "SUM", event_name="api.call")
    charge = {"code": "calls", "name": "Calls", "model": "PER_UNIT", "unit_price": Decimal("0.01")}
    a_subscription(made.customer, a_fee("50.00"), {**charge, "meter": tokens})
    with clock_at(datetime(2026, 3, 16, tzinfo=UTC)):
        store([submission(made, call(KEY, 1000, timestamp="2026-03-15T12:00:00Z", model="m1"))])
    return made


def page(client, name: str, **sent):
    address = reverse(name, args=[KEY])
    return client.post(address, sent, follow=True) if sent else client.get(address)


def form(client) -> dict[str, str]:
    """The amend form as it comes, filled in with what counts."""
    asked = page(client, "console-event-amend").context["form"]
    return {name: field.initial for name, field in asked.fields.items() if field.initial is not None}


def test_an_event_is_amended_in_a_form_that_says_what_counts(acme):
    client = signed_in(acme.tenant)
    with clock_at(APRIL_2):
        said = form(client)
        assert said == {
            "customer_id": "cust_abc",
            "metric": "api.call",
            "quantity": "1000",
            "timestamp": "2026-03-15T12:00:00Z",
            "properties": '{"model": "m1"}',
        }
        answer = page(client, "console-event-amend", **{**said, "quantity": "900"}, reason="Counted twice.")

    assert b"The event is amended." in answer.content
    correction = Correction.objects.get()
    assert (correction.actor, correction.reason) == ("ada", "Counted twice.")
    assert counting_event_for(acme.tenant, KEY).quantity == 900
    assert [step.outcome for step in answer.context["steps"][-2:]] == ["amended", "open"]
    shown = client.get(reverse("admin:metering_correction_change", args=[correction.pk])).content.decode()
    assert "sub_1, 2026-03-01T00:00:00Z to 2026-04-01T00:00:00Z: open" in shown


def test_what_is_wrong_stands_beside_its_field(acme):
    client = signed_in(acme.tenant)
    with clock_at(APRIL_2):
        said = form(client)
        for changes, field in (
            ({"quantity": "much"}, "quantity"),
            ({"properties": "{"}, "properties"),
            ({"properties": "[" * 40}, "properties"),
            ({"timestamp": "yesterday"}, "timestamp"),
            ({"reason": ""}, "reason"),
            ({"metric": "api.cal"}, "__all__"),
            ({}, "quantity"),
        ):
            answer = page(client, "console-event-amend", **{"reason": "A test.", **said, **changes})
            assert list(answer.context["form"].errors) == [field], changes
    assert not Correction.objects.exists()


def test_the_page_leads_to_the_invoice_that_carries_the_difference(acme):
    client = signed_in(acme.tenant)
    billed(acme.tenant)

    with clock_at(datetime(2026, 4, 5, tzinfo=UTC)):
        answer = page(client, "console-event-void", reason="A test.")
    assert b"The event is voided." in answer.content
    last = answer.context["steps"][-1]
    assert (last.step, last.outcome) == ("invoice", "open")
    assert last.detail.startswith("Corrected after <a")
    # Nothing is left that could be corrected.
    assert b"Amend" not in answer.content
    assert page(client, "console-event-amend").status_code == 404

    with clock_at(datetime(2026, 5, 2, tzinfo=UTC)):
        of = {"tenant": acme.tenant, "starts_on": date(2026, 4, 1), "ends_on": date(2026, 5, 1)}
        bill_run_work(tenant=acme.tenant, run_id=bill_run_start(**of, is_queued=False).pk)
    last = page(client, "console-event").context["steps"][-1]
    assert last.outcome == "adjusted"
    assert last.detail.startswith(
        f"Calls, 2026-03-01 to 2026-03-31 (INV-000001): voided {KEY}: -$10.00 on <a"
    )
    assert ">INV-000002</a>" in last.detail


def test_who_may_only_look_and_who_works_elsewhere_corrects_nothing(acme):
    looking = User.objects.create_user("eve", password="x", is_staff=True)
    looking.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = signed_in(acme.tenant, "eve")
    assert b"Amend" not in page(client, "console-event").content
    for name in ("console-event-amend", "console-event-void"):
        assert page(client, name).status_code == 403
        assert page(client, name, reason="A test.").status_code == 403

    elsewhere = signed_in(workspace("other").tenant)
    assert page(elsewhere, "console-event-void", reason="A test.").status_code == 404
    # A form that another tab left in another tenant.
    ours = signed_in(acme.tenant)
    assert page(ours, "console-event-void", reason="A test.", form_tenant="0").status_code == 404
    assert not Correction.objects.exists()
