"""What is sold and sent: 10,000 customers with a subscription each, five meters by model, and bodies of events."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aforo.kernel.clock import now

CUSTOMERS = 10_000
METERS = ("api.call", "llm.input_tokens", "llm.output_tokens", "storage.read", "storage.write")
MODELS = ("gpt-4o", "gpt-4o-mini", "o3")
BATCH = 1_000
# Bodies differ in their customers, meters and models; each is sent many times with other keys and times.
TEMPLATES = 100

_RUN = b"########"
_TIME = b"TTTT-TT-TTTTT:TT:TT.TTTZ"


@dataclass(frozen=True)
class Workload:
    """tenant_id, probe: rows; the probe is a customer of whose first meter every batch has one event."""

    tenant_id: int
    key: str
    probe_customer_id: int
    probe_meter_id: int


def workload_make(slug: str = "bench") -> Workload:
    """A tenant that sells five meters on one plan, and its customers, each subscribed."""
    from aforo.tenancy.models import Customer
    from aforo.tenancy.services.api_keys import api_key_create
    from aforo.tenancy.services.tenants import tenant_create
    from billing.models import Offering, RatePlanVersion, Subscription, SubscriptionItem
    from billing.services.catalog import (
        charge_add,
        offering_create,
        product_create,
        rate_plan_create,
        version_draft,
        version_publish,
    )
    from metering.models import MeterRow
    from metering.services.meters import meter_create

    tenant = tenant_create(slug=slug, name="Bench")
    product_create(tenant=tenant, code="api", name="API")
    rate_plan_create(tenant=tenant, product="api", code="payg", name="Pay as you go")
    version = version_draft(tenant=tenant, plan="payg").number
    for key in METERS:
        meter_create(tenant=tenant, key=key, name=key, aggregation="SUM", group_by=["model"])
        charge_add(
            tenant=tenant,
            plan="payg",
            version=version,
            code=key.replace(".", "-").replace("_", "-"),
            name=key,
            model="PER_UNIT",
            meter=key,
            unit_price="0.001",
        )
    version_publish(tenant=tenant, plan="payg", version=version)
    offering_create(tenant=tenant, code="payg", name="Pay as you go", plans=["payg"])
    customers = Customer.objects.bulk_create(
        Customer(tenant=tenant, external_id=f"cust_{number:05}", name=f"Customer {number}")
        for number in range(CUSTOMERS)
    )
    starts_at = datetime(now().year, now().month, 1, tzinfo=UTC) - timedelta(days=62)
    offering = Offering.objects.get(tenant=tenant, code="payg")
    plan_version = RatePlanVersion.objects.get(tenant=tenant, plan__code="payg")
    subscriptions = Subscription.objects.bulk_create(
        Subscription(
            tenant=tenant,
            code=f"sub-{number:05}",
            customer=customer,
            offering=offering,
            state="ACTIVE",
            starts_at=starts_at,
            anchor_on=starts_at.date(),
        )
        for number, customer in enumerate(customers)
    )
    SubscriptionItem.objects.bulk_create(
        SubscriptionItem(
            tenant=tenant,
            subscription=subscription,
            offering=offering,
            plan_version=plan_version,
            starts_at=starts_at,
        )
        for subscription in subscriptions
    )
    return Workload(
        tenant_id=tenant.pk,
        key=api_key_create(tenant=tenant, name="bench")[1],
        probe_customer_id=customers[0].pk,
        probe_meter_id=MeterRow.objects.get(tenant=tenant, key=METERS[0]).pk,
    )


class Bodies:
    """Bodies of *batch* events with keys that never come twice: body(number)."""

    def __init__(self, name: int, *, batch: int = BATCH) -> None:
        self._name = name
        chance = random.Random(name)
        self._templates = [_template(chance, batch) for _ in range(TEMPLATES)]

    def body(self, number: int) -> bytes:
        body = self._templates[number % TEMPLATES].replace(_RUN, b"%02x%06x" % (self._name, number))
        return body.replace(_TIME, now().strftime("%Y-%m-%dT%H:%M:%S.000Z").encode())


def _template(chance: random.Random, batch: int) -> bytes:
    events = [
        {
            "idempotency_key": f"{_RUN.decode()}-{chance.getrandbits(64):016x}-{place:010}",
            "customer_id": f"cust_{chance.randrange(1, CUSTOMERS) if place else 0:05}",
            "metric": chance.choice(METERS) if place else METERS[0],
            "quantity": chance.randrange(1, 2_000),
            "timestamp": _TIME.decode(),
            "properties": {"model": chance.choice(MODELS), "endpoint": "/v1/chat/completions"},
        }
        for place in range(batch)
    ]
    return json.dumps(events if batch > 1 else events[0]).encode()
