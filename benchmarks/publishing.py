"""publishing: how fast rows become records, what the repair costs, and how long a change takes to the site.

Beside it its floor: the same usage read by one plain query, and the same records written by COPY and by HSET.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .load import percentile
from .stack import Stack

if TYPE_CHECKING:
    from aforo.tenancy.models import Customer, Tenant

CUSTOMERS = 20_000
FEATURES = ("search", "export")
PLANS = ("free", "pro", "enterprise")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
# Hours in which every customer has usage of every meter.
HOURS = 48
# Of the customers; they have a limit of their own.
OWN_PERCENT = 10
COMPILED, CHUNK = 5_000, 200
CHANGES_S = 60.0
FILLED_S = 300.0
SEEN_S = 30.0


def measure(stack: Stack) -> dict[str, Any]:
    """compiled_per_s: customers whose records are made, compared and found unchanged, one compilation after the other in
    this process. change_…: from the commit of another limit to the site's record, one change after the other over two
    repairs. cpu_s: processor seconds of every 30 s meanwhile, by process.
    """
    # So that none of it is compiled before all of it is there.
    stack.pause("publisher")
    tenant = _tenant()
    stack.resume("publisher")
    started = time.monotonic()
    _await("all records", lambda: _is_whole(tenant), FILLED_S, 0.2)
    filled_s = time.monotonic() - started
    stack.pause("publisher")
    compiled_per_s, compiled_cpu_us = _compiled(stack, tenant)
    floor_read_s, floor_write_s = _floor_s(tenant)
    stack.resume("publisher")
    # What was due while it stood still is not counted.
    count = _repairs()
    _await("a repair", lambda: _repairs() > count, FILLED_S, 0.2)
    cpu, began, count = stack.cpu_s(), time.monotonic(), _repairs()
    changes_s = _changes_s(tenant)
    took_s, repairs = time.monotonic() - began, _repairs() - count
    used = {name: seconds - cpu.get(name, 0.0) for name, seconds in stack.cpu_s().items()}
    return {
        "customers": CUSTOMERS,
        "features": len(FEATURES),
        "filled_s": round(filled_s, 1),
        "compiled_per_s": round(compiled_per_s),
        "compiled_cpu_us": {name: round(us) for name, us in compiled_cpu_us.items()},
        "cpu_s": {name: round(seconds / took_s * 30, 2) for name, seconds in used.items() if name != "load"},
        "repairs": repairs,
        "changes": len(changes_s),
        "change_p50_ms": round(percentile(changes_s, 50) * 1000),
        "change_p99_ms": round(percentile(changes_s, 99) * 1000),
        "floor_read_s": round(floor_read_s, 2),
        "floor_write_s": round(floor_write_s, 2),
        "ratio_floor": round(CUSTOMERS / compiled_per_s / (floor_read_s + floor_write_s), 2),
    }


def _compiled(stack: Stack, tenant: Tenant) -> tuple[float, dict[str, float]]:
    """Customers a second, and the processor time of one in µs, by process."""
    from aforo.tenancy.models import Customer
    from entitlements.edge.publisher import Publisher

    publisher = Publisher()
    # As `manage.py publisher` does.
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    cpu, started = stack.cpu_s(), time.perf_counter()
    after = 0
    for _ in range(COMPILED // CHUNK):
        customers = list(Customer.objects.filter(tenant=tenant, pk__gt=after).order_by("pk")[:CHUNK])
        assert publisher.customers_compile(tenant, customers) == 0
        after = customers[-1].pk
    seconds = time.perf_counter() - started
    used = {name: after - cpu.get(name, 0.0) for name, after in stack.cpu_s().items()}
    return COMPILED / seconds, {name: used[name] / COMPILED * 1e6 for name in ("load", "postgres")}


def _changes_s(tenant: Tenant) -> list[float]:
    """Edit the limit of one customer after the other, and look at the site until it says so."""
    from entitlements.models import Entitlement
    from entitlements.services.entitlements import entitlement_edit

    chance = random.Random(1)
    own = Entitlement.objects.filter(tenant=tenant, layer="CUSTOMER", feature__code=FEATURES[0])
    rules = list(own.values_list("pk", "owner"))
    site, taken_s = _site(), []
    key = f"aforo:v1:ent:{{{tenant.slug}/{tenant.environment}:%s}}:{FEATURES[0]}"
    ends = time.monotonic() + CHANGES_S
    while time.monotonic() < ends:
        rule, customer = chance.choice(rules)
        limit = chance.randrange(10_000, 10_000_000)
        entitlement_edit(tenant=tenant, actor="bench", entitlement_id=rule, limit=Decimal(limit))
        started = time.perf_counter()
        said = b"%d" % limit
        _await(f"limit {limit}", lambda: site.hget(key % customer, "lim") == said, SEEN_S, 0.002)  # noqa: B023
        taken_s.append(time.perf_counter() - started)
        # Not in step with the publisher's turns.
        time.sleep(chance.random() * 0.2)
    return sorted(taken_s)


def _floor_s(tenant: Tenant) -> tuple[float, float]:
    """Seconds of one query for all usage of the month, and of writing as many records as there are by COPY and HSET."""
    from django.db import connection

    site = _site()
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_id, meter_id, sum(count), sum(sum) FROM metering_bucket"
            " WHERE tenant_id = %s AND hour >= date_trunc('month', now()) GROUP BY customer_id, meter_id",
            [tenant.pk],
        )
        cursor.fetchall()
        read_s = time.perf_counter() - started
        cursor.execute("CREATE TEMPORARY TABLE floor (name text PRIMARY KEY, body text)")
        names = [f"{number}" for number in range(CUSTOMERS * (1 + len(FEATURES)))]
        started = time.perf_counter()
        with cursor.copy("COPY floor (name, body) FROM STDIN") as copy:
            for name in names:
                copy.write_row((name, "x" * 350))
        with site.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.hset(f"aforo:floor:{name}", mapping={"ver": name, "body": "x" * 200})
            pipeline.execute()
        write_s = time.perf_counter() - started
        cursor.execute("DROP TABLE floor")
    for start in range(0, len(names), 1_000):
        site.delete(*(f"aforo:floor:{name}" for name in names[start : start + 1_000]))
    return read_s, write_s


def _await(what: str, holds: Callable[[], bool], seconds: float, every_s: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not after {seconds:.0f} s")
        time.sleep(every_s)


def _repairs() -> int:
    from entitlements.selectors.publishing import publisher_state

    state = publisher_state()
    return 0 if state is None else state.repairs


def _is_whole(tenant: Tenant) -> bool:
    from entitlements.models import EdgeRecordRow

    records = EdgeRecordRow.objects.filter(tenant=tenant, kind="feature")
    return records.count() == CUSTOMERS * len(FEATURES)


def _site() -> Any:
    from django.conf import settings
    from redis import Redis

    return Redis.from_url(settings.REDIS_URL)


def _tenant() -> Tenant:
    """Customers in four zones with a subscription of a year each, on three plans that give both features; two days' usage."""
    from django.db import connection

    from aforo.tenancy.models import Customer
    from aforo.tenancy.services.tenants import tenant_create
    from entitlements.models import Entitlement, Feature
    from entitlements.services.features import feature_create
    from metering.services.meters import meter_create

    tenant = tenant_create(slug="bench", name="Bench")
    meters = [meter_create(tenant=tenant, key=f"calls.{code}", aggregation="SUM").pk for code in FEATURES]
    for code in FEATURES:
        feature_create(
            tenant=tenant, actor="bench", code=code, name=code, kind="METERED", meter=f"calls.{code}"
        )
    features = list(Feature.objects.filter(tenant=tenant))
    customers = Customer.objects.bulk_create(
        Customer(
            tenant=tenant, external_id=f"cust_{number:05}", name="C", timezone=ZONES[number % len(ZONES)]
        )
        for number in range(CUSTOMERS)
    )
    own = [
        one.external_id for number, one in enumerate(customers) if number * OWN_PERCENT % 100 < OWN_PERCENT
    ]
    owners = [("PLAN", plan) for plan in PLANS] + [("CUSTOMER", name) for name in own]
    Entitlement.objects.bulk_create(
        Entitlement(tenant=tenant, feature=feature, layer=layer, owner=owner, limit=Decimal(100_000))
        for layer, owner in owners
        for feature in features
    )
    _holdings_make(tenant, customers)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO metering_bucket (tenant_id, customer_id, meter_id, hour, dimensions, count, value_count, sum, max,"
            " min, latest_at, latest_key, latest_value)"
            " SELECT %s, customer, meter, hour, '{}', 3, 3, 70, 40, 10, hour, 'key', 20"
            " FROM unnest(%s::bigint[]) AS customer, unnest(%s::int[]) AS meter,"
            " generate_series(date_trunc('hour', now()) - make_interval(hours => %s), now(), '1 hour') AS hour",
            [tenant.pk, [one.pk for one in customers], meters, HOURS - 1],
        )
        cursor.execute("ANALYZE")
    return tenant


def _holdings_make(tenant: Tenant, customers: list[Customer]) -> None:
    from aforo.kernel.clock import now
    from aforo.kernel.periods import local_midnight, month_later
    from entitlements.models import Holding, Standing

    Standing.objects.bulk_create(Standing(tenant=tenant, customer=customer) for customer in customers)
    held = []
    for number, customer in enumerate(customers):
        # Months from midnight of a day of its own on, from a year ago to the next one; the first began with a moment.
        day = date(now().year - 1, now().month, number % 28 + 1)
        midnights = [local_midnight(month_later(day, months), customer.zone) for months in range(15)]
        first = midnights[0] + timedelta(seconds=number)
        boundaries = [first, *midnights[1:]]
        held.append(
            Holding(
                tenant=tenant,
                customer=customer,
                subscription=f"sub-{number:05}",
                plans=[PLANS[number % len(PLANS)]],
                started_at=first,
                boundaries=boundaries,
            )
        )
    Holding.objects.bulk_create(held, batch_size=1_000)
