"""What entitlements asks of billing above it: which plans, offerings and contracts there are, and what has changed hands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aforo.tenancy.models import Tenant

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


class NoSubscriptions:
    """The source of an installation without billing."""

    def told(self) -> int:
        return 0


class NoOwners:
    """The owners of an installation without billing."""

    def codes(self, tenant: Tenant, layer: Layer) -> Sequence[tuple[str, str]]:
        return ()


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
