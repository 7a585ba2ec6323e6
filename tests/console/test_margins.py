"""The margin dashboard, and the forms of policies, rates and imports."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from aforo.audit.models import AuditEntry
from aforo.kernel.clock import clock_at
from entitlements.models import CostRate, ImportedCost, MarginPolicy
from entitlements.services.margin_guard import margins_evaluate
from tests.entitlements.margins import MARCH_20, Guarded, guarded

from .workplace import signed_in

DASHBOARD = reverse("console-margins")


@pytest.fixture
def acme(db: None) -> Guarded:
    return guarded()


@pytest.fixture
def client(acme: Guarded):
    return signed_in(acme.tenant)


def page(model: str, name: str, *args: object) -> str:
    return reverse(f"admin:entitlements_{model}_{name}", args=args)


def test_without_a_policy_the_dashboard_says_what_to_do(client):
    shown = client.get(DASHBOARD).content.decode()
    assert "No margin policy is active" in shown
    assert page("marginpolicy", "add") in shown


def test_the_dashboard_shows_who_tripped_and_the_figures(client, acme: Guarded):
    acme.policy(mode="ENFORCE")
    assert "No customer has been judged yet" in client.get(DASHBOARD).content.decode()
    acme.used(200_000)
    acme.costs("0.016")
    with clock_at(MARCH_20):
        margins_evaluate(tenant=acme.tenant)
        answer = client.get(DASHBOARD)
    shown = answer.content.decode()
    assert "$2,000.00 earned, $3,200.00 spent: -60.0 %" in shown
    assert answer.context["levels"] == [("L1", 0), ("L2", 0), ("L3", 1)]
    (row,) = answer.context["tripped"]
    assert (row["state"].customer, row["revenue"], row["cost"]) == (acme.customer, "$2,000.00", "$3,200.00")
    assert '"data": [-60.0]' in answer.context["by_customer"]["data"]
    assert '"20 Mar"' in answer.context["trend"]["data"]


def test_a_policy_is_made_and_changed_by_a_form_and_the_audit_says_by_whom(client, acme: Guarded):
    form = {
        "code": "standard",
        "name": "Standard",
        "mode": "ALERT",
        "is_active": "on",
        "scope": "GLOBAL",
        "owner": "",
        "window": "BILLING",
        "window_days": "",
        "minimum_revenue": "0",
        "currency": "USD",
        "floor_1": "20",
        "floor_2": "10",
        "floor_3": "0",
        "hysteresis": "5",
        "throttle_percent": "50",
        "downgrades": "{}",
        "retry_after_2_s": "60",
        "retry_after_3_s": "1800",
    }
    wrong = client.post(page("marginpolicy", "add"), {**form, "floor_2": "30"})
    assert "Each floor lies below the one before" in wrong.content.decode()
    assert client.post(page("marginpolicy", "add"), form).status_code == 302
    policy = MarginPolicy.objects.get()
    address = page("marginpolicy", "change", policy.pk)
    assert client.post(address, {**form, "mode": "ENFORCE"}).status_code == 302
    assert list(AuditEntry.objects.order_by("sequence").values_list("actor", "action", "after__mode")) == [
        ("ada", "margin_policy.created", "ALERT"),
        ("ada", "margin_policy.edited", "ENFORCE"),
    ]


def test_a_dry_run_shows_what_would_have_been_refused(client, acme: Guarded):
    for day in (10, 11):
        acme.used(200_000, datetime(2026, 3, day, tzinfo=UTC))
    acme.costs("0.016")
    policy = acme.policy()
    with clock_at(MARCH_20):
        answer = client.get(page("marginpolicy", "dry_run", policy.pk))
    (row,) = answer.context["rows"]
    # The event of the 11th, after the block of the evening before: 200,000 x 0.016.
    assert (row["level"], row["calls"], row["withheld"], row["avoided"]) == (3, 2, 1, Decimal("3200.00"))
    assert "What <a" in answer.content.decode()
    nobody = acme.policy("plan", scope="CUSTOMER", owner="cust_abc")
    assert nobody.pk
    assert "holds for no customer" in client.get(page("marginpolicy", "dry_run", policy.pk)).content.decode()


def test_a_file_of_costs_is_taken_whole_or_not_at_all(client, acme: Guarded):
    def sent(*lines: str):
        text = "\n".join(["customer,on,amount,currency,source,external_key", *lines])
        return client.post(
            page("importedcost", "add"), {"file": SimpleUploadedFile("costs.csv", text.encode())}
        )

    wrong = sent("cust_abc,2026-03-05,12.50,,openai,a", "cust_abc,2026-03-06,two,,openai,b")
    assert "Costs, row 2" in wrong.content.decode()
    assert "Has no lines below its header." in sent().content.decode()
    assert not ImportedCost.objects.exists()
    assert sent("cust_abc,2026-03-05,12.50,,openai,a").status_code == 302
    assert ImportedCost.objects.get().amount == Decimal("12.50")


def test_a_rate_is_made_and_ended(client, acme: Guarded):
    form = {
        "meter": str(acme.meter.pk),
        "dimensions": "{}",
        "unit_cost": "0.016",
        "currency": "USD",
        "starts_at_0": "2026-01-01",
        "starts_at_1": "00:00:00",
        "ends_at_0": "",
        "ends_at_1": "",
    }
    made = client.post(page("costrate", "add"), form)
    assert made.status_code == 302, made.context["errors"]
    rate = CostRate.objects.get()
    client.post(page("costrate", "end", rate.pk), {"ends_at_0": "2026-07-01", "ends_at_1": "00:00:00"})
    rate.refresh_from_db()
    assert rate.ends_at == datetime(2026, 7, 1, tzinfo=UTC)
