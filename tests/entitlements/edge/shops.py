"""A provider whose customer cust_abc has 1,000 searches a month and has used 550, and the publisher that tells of it; and
providers made by chance, whose customers hold a bit of everything."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from itertools import count

from django.conf import settings

from aforo.kernel.clock import now
from aforo.tenancy.models import Customer
from entitlements.edge.publisher import Publisher
from entitlements.edge.store import EdgeStore
from entitlements.models import Entitlement, Feature, Grant, Holding, Standing
from entitlements.services.entitlements import entitlement_create
from entitlements.services.features import feature_create
from metering.batch import store
from tests.metering.rows import call, submission
from tests.workspaces import Workspace, customer, meter, workspace

_NUMBERS = count()


def shop(slug: str = "acme_corp", *, used: int = 550) -> Workspace:
    made = workspace(slug)
    limited(made, "advanced_ai_search", 1_000)
    metered(made, used)
    return made


def limited(of: Workspace, feature: str, limit: int, meter: str = "api.call", **window: object) -> None:
    """A metered feature, of which cust_abc has so many units a window."""
    feature_create(tenant=of.tenant, actor="ada", code=feature, name=feature, kind="METERED", meter=meter)
    entitlement_create(
        tenant=of.tenant,
        actor="ada",
        feature=feature,
        layer="CUSTOMER",
        owner="cust_abc",
        limit=Decimal(limit),
        **window,
    )


def metered(of: Workspace, quantity: int, **more: object) -> None:
    """Usage of so many calls, as the writer stores it."""
    if quantity:
        calls = [call(f"key-{next(_NUMBERS)}", **more) for _ in range(quantity)]
        store([submission(of, calls)])


def site() -> EdgeStore:
    return EdgeStore(settings.REDIS_URL, timeout_s=5.0)


def published() -> Publisher:
    """One that has made everything, as after its start."""
    publisher = Publisher()
    assert publisher.publish()
    return publisher


ZONES = ("UTC", "Asia/Kolkata", "America/New_York")
WINDOWS = (
    {"window": "BILLING"},
    {"window": "CALENDAR", "window_unit": "day"},
    {"window": "CALENDAR", "window_unit": "month"},
    {"window": "FIXED", "window_s": 100_000},
    {"window": "SLIDING", "window_s": 3_600},
    {"window": "NONE"},
)
LAYERS = {"PLAN": "plan", "OFFERING": "offering", "CONTRACT": "contract"}


def made_by_chance(seed: int, customers: int = 15) -> Workspace:
    """A provider with features of every kind, rules of every layer and window, some begun, ended or to come; customers in
    three zones with none, one or several subscriptions, some of them ended, with grants and with usage.
    """
    chance, at = random.Random(seed), now()
    made = workspace(f"shop-{seed}")
    names = [made.customer.external_id]
    for number in range(1, customers):
        names.append(customer(made.tenant, f"cust_{number}", timezone=chance.choice(ZONES)).external_id)
    meter(made.tenant, "bytes", "SUM", conversion={"operation": "divide", "factor": "7", "rounding": None})
    meter(made.tenant, "level", "MAX")
    for code, kind, key, places in (
        ("calls", "METERED", "api.call", 0),
        ("bytes", "METERED", "bytes", 2),
        ("level", "METERED", "level", 1),
        ("seats", "STATIC", None, 0),
        ("beta", "BOOLEAN", None, 0),
    ):
        feature_create(
            tenant=made.tenant, actor="ada", code=code, name=code, kind=kind, meter=key, decimal_places=places
        )
    for feature in Feature.objects.filter(tenant=made.tenant).order_by("code"):
        owners = [(layer, f"{code}-{number}") for layer, code in LAYERS.items() for number in range(2)]
        for layer, owner in owners + [("CUSTOMER", name) for name in names]:
            for days in chance.sample([None, -3, 2], chance.choice([0, 1, 1, 2])):
                _rule_make(chance, feature, layer, owner, None if days is None else at + timedelta(days=days))
    for row in Customer.objects.filter(tenant=made.tenant).order_by("pk"):
        _holdings_make(chance, row)
        if chance.random() < 0.3:
            Grant.objects.create(
                tenant=made.tenant,
                customer=row,
                feature=Feature.objects.get(tenant=made.tenant, code=chance.choice(["calls", "bytes"])),
                amount=chance.randrange(1, 50),
                effective_at=at - timedelta(days=chance.randrange(20)),
                expires_at=chance.choice([None, at + timedelta(days=1)]),
            )
    used = [
        call(
            f"{seed}-{number}",
            chance.randrange(1, 30),
            customer_id=chance.choice(names),
            metric=chance.choice(["api.call", "bytes", "level"]),
            timestamp=(at - timedelta(minutes=chance.randrange(60 * 24 * 20))).isoformat(),
        )
        for number in range(10 * customers)
    ]
    store([submission(made, used)])
    return made


def _rule_make(chance: random.Random, feature: Feature, layer: str, owner: str, starts_at: object) -> None:
    is_metered = feature.kind == "METERED"
    Entitlement.objects.create(
        tenant=feature.tenant,
        feature=feature,
        layer=layer,
        owner=owner,
        is_granted=chance.random() < 0.85,
        limit=chance.choice([None, chance.randrange(200)]) if is_metered else None,
        value="5" if feature.kind == "STATIC" else "",
        limit_type=chance.choice(["HARD", "SOFT"]),
        starts_at=starts_at,
        ends_at=None if starts_at is None else chance.choice([None, starts_at + timedelta(days=4)]),
        **(chance.choice(WINDOWS) if is_metered else {}),
    )


def _holdings_make(chance: random.Random, of: Customer) -> None:
    for number in range(chance.choice([0, 1, 1, 2, 3])):
        first = now() - timedelta(days=chance.randrange(5, 90), seconds=chance.randrange(5_000))
        Holding.objects.create(
            tenant=of.tenant,
            customer=of,
            subscription=f"sub-{of.external_id}-{number}",
            plans=sorted(chance.sample(["plan-0", "plan-1"], chance.randrange(3))),
            offerings=chance.sample(["offering-0", "offering-1"], chance.randrange(2)),
            contracts=chance.sample(["contract-0", "contract-1"], chance.randrange(2)),
            is_active=chance.random() < 0.8,
            started_at=first,
            boundaries=[first + timedelta(days=20 * period) for period in range(chance.choice([0, 2, 7]))],
        )
    Standing.objects.create(tenant=of.tenant, customer=of, is_wallet_empty=chance.random() < 0.2)
