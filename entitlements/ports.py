"""What entitlements asks of billing above it: which plans, offerings and contracts there are, what has changed hands, and what
customers earn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Protocol

from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from aforo.tenancy.models import Customer, Tenant

from .resolution import Layer


class EntitlementOwners(Protocol):
    """Who may own an entitlement beside customers; filled by billing."""

    def codes(self, tenant: Tenant, layer: Layer) -> Sequence[tuple[str, str]]:
        """(code, name) of everything of the layer, by code."""


class StandingSource(Protocol):
    """What customers hold; filled by billing."""

    def told(self) -> int:
        """Write the standings of customers whose subscriptions, contracts or wallets have changed; returns how many.

        Called again and again by the publisher. Raises django.db.Error where the store is away.
        """


# A customer and windows.
Asked = tuple[Customer, Sequence[Period]]


class RevenueSource(Protocol):
    """What customers earn the tenant, by billing's own rating; filled by billing."""

    def accrued(self, tenant: Tenant, asked: Sequence[Asked]) -> list[list[dict[str, Decimal]] | Problem]:
        """Of each customer's windows the revenue of its usage and its share of the fees, by currency, before discounts and
        taxes; or why a period of the customer cannot be rated.

        Usage is that of the UTC hours that begin in the window. The same for windows that are past and for one that ends now.
        """

    def exchange_rate(self, tenant: Tenant, base: str, quote: str, on: date) -> Decimal | None:
        """How many of *quote* one of *base* was on a day, as the tenant recorded it; None where it did not."""


class NoSubscriptions:
    """The source of an installation without billing."""

    def told(self) -> int:
        return 0


class NoOwners:
    """The owners of an installation without billing."""

    def codes(self, tenant: Tenant, layer: Layer) -> Sequence[tuple[str, str]]:
        return ()


class NoRevenue:
    """The revenue of an installation without billing."""

    def accrued(self, tenant: Tenant, asked: Sequence[Asked]) -> list[list[dict[str, Decimal]] | Problem]:
        return [[{} for _ in windows] for _, windows in asked]

    def exchange_rate(self, tenant: Tenant, base: str, quote: str, on: date) -> Decimal | None:
        return None


_owners: EntitlementOwners = NoOwners()


def entitlement_owners() -> EntitlementOwners:
    return _owners


def entitlement_owners_fill(owners: EntitlementOwners) -> None:
    """Called once by the app that knows plans, in its `apps.py`."""
    global _owners
    _owners = owners


_standings: StandingSource = NoSubscriptions()


def standing_source() -> StandingSource:
    return _standings


def standing_source_fill(source: StandingSource) -> None:
    """Called once by the app that knows subscriptions, in its `apps.py`."""
    global _standings
    _standings = source


_revenue: RevenueSource = NoRevenue()


def revenue_source() -> RevenueSource:
    return _revenue


def revenue_source_fill(source: RevenueSource) -> None:
    """Called once by the app that rates usage, in its `apps.py`."""
    global _revenue
    _revenue = source
