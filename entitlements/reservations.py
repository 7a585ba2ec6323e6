"""Metering's `ReservationDesk`: reservations of the central site."""

from __future__ import annotations

from .edge.central import central_gate


class CentralDesk:
    def settle(self, *, tenant: str, reservation: str) -> str | None:
        return central_gate().settle(tenant, reservation)

    def unsettle(self, *, tenant: str, reservation: str) -> None:
        central_gate().unsettle(tenant, reservation)
