"""A provider whose customer cust_abc has 1,000 searches a month and has used 550, and the publisher that tells of it."""

from __future__ import annotations

from decimal import Decimal
from itertools import count

from django.conf import settings

from entitlements.edge.publisher import Publisher
from entitlements.edge.store import EdgeStore
from entitlements.services.entitlements import entitlement_create
from entitlements.services.features import feature_create
from metering.batch import store
from tests.metering.rows import call, submission
from tests.workspaces import Workspace, workspace

_NUMBERS = count()


def shop(slug: str = "acme_corp", *, used: int = 550) -> Workspace:
    made = workspace(slug)
    feature_create(
        tenant=made.tenant,
        actor="ada",
        code="advanced_ai_search",
        name="Search",
        kind="METERED",
        meter="api.call",
    )
    entitlement_create(
        tenant=made.tenant,
        actor="ada",
        feature="advanced_ai_search",
        layer="CUSTOMER",
        owner="cust_abc",
        limit=Decimal(1_000),
    )
    metered(made, used)
    return made


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
