"""A tenant in which every page of the admin has a row to show, and somebody who is signed in."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from django.contrib.auth.models import User
from django.test import Client

from aforo.kernel.clock import clock_at
from aforo.tenancy.admin.workspace import SESSION_KEY
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.services.api_keys import api_key_create
from billing.models import BillRun, Invoice
from billing.services.bill_runs import bill_run_start, bill_run_work
from billing.services.contracts import contract_create
from billing.services.credit_notes import credit_note_create
from billing.services.profiles import billing_profile_set
from billing.services.tax import tax_exemption_create
from billing.services.wallets import wallet_grant_add
from entitlements.renewals import LeaseRequest
from entitlements.services.entitlements import entitlement_create
from entitlements.services.features import edge_policy_set, feature_create
from entitlements.services.grants import grant_create
from entitlements.services.leases import leases_renew
from entitlements.services.margin_guard import margins_evaluate
from entitlements.services.margins import cost_rate_create, costs_import, margin_policy_create
from metering.batch import store
from metering.models import Correction, DeadLetter, Upload
from metering.services.corrections import event_amend
from metering.services.dead_letter_runs import dead_letter_run_plan
from metering.services.profiles import metering_profile_set
from metering.services.webhook_sources import webhook_source_create
from tests.billing.builders import APRIL_2, demo_subscription
from tests.metering.rows import call, submission
from tests.workspaces import Workspace, meter

PASSWORD = "correct horse battery"


def staff(name: str = "ada") -> User:
    return User.objects.create_superuser(name, password=PASSWORD)


def signed_in_nowhere() -> Client:
    """A browser of somebody who has signed in where there is no tenant yet."""
    client = Client()
    client.force_login(staff())
    return client


def signed_in(tenant: Tenant, name: str = "ada") -> Client:
    """A browser of somebody who works in the tenant."""
    client = Client()
    client.force_login(User.objects.filter(username=name).first() or staff(name))
    session = client.session
    session[SESSION_KEY] = tenant.pk
    session.save()
    return client


def a_dead_letter(tenant: Tenant, payload: bytes = b'{"event": "api.cal"}', **fields: object) -> DeadLetter:
    given = {
        "intake_id": DeadLetter.objects.count() + 1,
        "code": "metric_unknown",
        "detail": "No meter listens to 'api.cal'.",
        "metric": "api.cal",
        "payload": payload,
        "payload_length": len(payload),
        "payload_sha256": "0" * 64,
        "content_type": "application/json",
        "envelope": {
            "door": "events",
            "is_strict": False,
            "source": None,
            "idempotency_header": None,
            "tenant_header": None,
            "attributes": [],
        },
        "source": "rest",
        "received_at": datetime(2026, 3, 15, 12, tzinfo=UTC),
        **fields,
    }
    return DeadLetter.objects.create(tenant=tenant, **given)


def a_correction(tenant: Tenant, customer: Customer) -> Correction:
    """An event of a metric that nobody charges for, amended."""
    meter(tenant, "jobs")
    event = call("job_1", customer_id=customer.external_id, metric="jobs")
    with clock_at(APRIL_2):
        store([submission(Workspace(tenant, "", customer, None), event)])
        of = {"tenant": tenant, "reason": "Counted twice.", "actor": "ada"}
        return event_amend(**of, key="job_1", changes={"quantity": 2}).correction


def furnish(tenant: Tenant) -> Invoice:
    """One row for every page: the demo's plan, its invoice of March (140.35), and what stands around them."""
    subscription = demo_subscription(tenant)
    buyer = subscription.customer.external_id
    api_key_create(tenant=tenant, name="gateway")
    a_dead_letter(tenant)
    a_correction(tenant, subscription.customer)
    webhook_source_create(tenant=tenant, name="Orders")
    Upload.objects.create(
        tenant=tenant, file_name="march.csv", form="csv", bytes=10, sha256="0" * 64, rejected=1
    )
    dead_letter_run_plan(tenant=tenant, action="REPLAY", actor="ada")
    metering_profile_set(tenant=tenant, holds_unknown_metrics=True)
    billing_profile_set(tenant=tenant, legal_name="Acme Corp.", legal_address="1 Road\nTown")
    wallet_grant_add(tenant=tenant, customer=buyer, amount=Decimal("50.00"))
    tax_exemption_create(
        tenant=tenant, customer=buyer, number="C-1", reason="resale", starts_on=date(2030, 1, 1)
    )
    contract_create(
        tenant=tenant,
        code="deal",
        subscription=subscription.code,
        starts_on=date(2026, 1, 1),
        minimum_amount=100,
    )
    entitlements(tenant, buyer)
    margins(tenant, buyer)
    run = billed(tenant)
    invoice = run.items.get().invoice
    credit_note_create(tenant=tenant, invoice=invoice.number, reason="A test.")
    return invoice


def entitlements(tenant: Tenant, customer: str) -> None:
    """10 jobs a billing period for the customer, and 5 more; a site has a lease of them."""
    feature_create(tenant=tenant, actor="ada", code="batch", name="Batch jobs", kind="METERED", meter="jobs")
    of = {"tenant": tenant, "actor": "ada", "feature": "batch"}
    entitlement_create(**of, layer="CUSTOMER", owner=customer, limit=Decimal(10))
    grant_create(**of, customer=customer, amount=Decimal(5))
    edge_policy_set(tenant=tenant, actor="ada", on_unknown="deny")
    leases_renew(tenant=tenant, edge="berlin", epoch="b1", requests=[LeaseRequest(customer, "batch")])


def margins(tenant: Tenant, customer: str) -> None:
    """A rate, a policy, and imported costs of 1,000,000 in March, which trip it."""
    of = {"tenant": tenant, "actor": "ada"}
    cost_rate_create(
        **of, meter="jobs", unit_cost=Decimal("0.01"), starts_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    margin_policy_create(**of, code="standard", name="Standard", mode="ENFORCE")
    cost = {"customer": customer, "on": date(2026, 3, 5), "amount": Decimal(10**6)}
    costs_import(**of, rows=[{**cost, "source": "cloud", "external_key": "march"}])
    margins_evaluate(tenant=tenant, as_of=datetime(2026, 3, 20, tzinfo=UTC))


def billed(tenant: Tenant, starts_on: date = date(2026, 3, 1), ends_on: date = date(2026, 4, 1)) -> BillRun:
    """A bill run, finished."""
    with clock_at(APRIL_2):
        run = bill_run_start(tenant=tenant, starts_on=starts_on, ends_on=ends_on, is_queued=False)
        return bill_run_work(tenant=tenant, run_id=run.pk)
