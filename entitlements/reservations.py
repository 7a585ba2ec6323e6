"""Metering's `ReservationDesk`: reservations of the central site."""

from __future__ import annotations

from .api.access import gate


class CentralDesk:
    def settle(self, *, tenant: str, reservation: str) -> str | None:
        return gate().settle(tenant, reservation)

    def unsettle(self, *, tenant: str, reservation: str) -> None:
        gate().unsettle(tenant, reservation)
