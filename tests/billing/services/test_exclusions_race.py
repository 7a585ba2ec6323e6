"""Terms that exclude each other, entered by many at once: one is kept, and the others are told why."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.db import connections

from aforo.kernel.errors import Problem
from billing.models import Contract, TaxRate
from billing.services.contracts import contract_create
from billing.services.tax import tax_rate_create
from tests import catalogs, workspaces

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(count: int, work: Callable[[int], Any]) -> list[str]:
    """What became of each: "kept", or the code of its problem; anything else ends the test."""
    barrier, outcomes = threading.Barrier(count), [""] * count

    def run(place: int) -> None:
        barrier.wait()
        try:
            work(place)
            outcomes[place] = "kept"
        except Problem as problem:
            outcomes[place] = problem.code
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def test_of_contracts_that_share_days_one_is_kept():
    shop = workspaces.workspace()
    catalogs.on_sale(shop.tenant)
    catalogs.subscribed(shop.tenant)
    of = {"tenant": shop.tenant, "subscription": "sub-1", "starts_on": date(2026, 1, 1)}
    outcomes = at_once(6, lambda place: contract_create(**of, code=f"c-{place}"))
    assert outcomes == ["input_invalid"] * 5 + ["kept"]
    assert Contract.objects.count() == 1


def test_of_rates_that_share_days_one_is_kept(monkeypatch):
    # All of them look before any is there; what is left is the constraint, at which the store would kill them as a deadlock.
    monkeypatch.setattr(TaxRate, "full_clean", lambda self: None)
    tenant = workspaces.workspace().tenant
    for number in range(20):
        of = {"tenant": tenant, "jurisdiction": f"DE-{number}", "name": "VAT", "starts_on": date(2026, 1, 1)}
        outcomes = at_once(6, lambda place: tax_rate_create(**of, percent=10 + place))  # noqa: B023 - called at once
        assert outcomes == ["input_invalid"] * 5 + ["kept"]
    assert TaxRate.objects.count() == 20
