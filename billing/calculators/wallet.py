"""`manage.py wallet`: what a wallet's grants pay, use by use, in the burn order of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from aforo.kernel.currencies import minor_units
from aforo.kernel.decimals import EXACT, plain, rounded, total

from ..burn import KINDS, ZERO, Grant, burn
from . import fields


@dataclass(frozen=True, slots=True)
class _Granted:
    grant: Grant
    amount: Decimal


def wallet(request: Mapping[str, Any]) -> dict[str, Any]:
    """{"currency", "grants", "uses", "at"} -> {"balance", "grants": [{"id", "balance"}], "uses": [{"taken", "uncovered"}]}.

    uses are taken in order of time, and answered in the order given; those after `at` are not yet made.
    A grant counts from starts_at until expires_at (exclusive); then, and before it starts, its balance is 0.
    Raises Problem fields_missing or field_invalid.
    """
    row = fields.object_of(
        request,
        "the request",
        known={"currency", "grants", "uses", "at"},
        required={"currency", "grants", "at"},
    )
    places = minor_units(fields.currency(row["currency"]))
    granted = fields.list_of(row["grants"], "grants", _granted)
    uses = fields.list_of(row.get("uses"), "uses", _use)
    at = fields.instant(row["at"], "at")
    ids = [each.grant.id for each in granted]
    if len(set(ids)) != len(ids):
        raise fields.invalid("grants", "every grant has an id of its own")

    def text(amount: Decimal) -> str:
        # Never finer than it was given: 0.005 stays, 5 becomes 5.00.
        finer = max(places, -int(amount.normalize().as_tuple().exponent))
        return plain(rounded(amount, places=finer, mode="half_up"))

    grants = [each.grant for each in granted]
    balances = {each.grant.id: each.amount for each in granted}
    answers: list[dict[str, Any]] = [{} for _ in uses]
    for index, (used_at, amount) in sorted(enumerate(uses), key=lambda use: (use[1][0], use[0])):
        taken, uncovered = ((), amount) if used_at > at else burn(grants, balances, amount=amount, at=used_at)
        for grant_id, part in taken:
            balances[grant_id] = EXACT.subtract(balances[grant_id], part)
        answers[index] = {
            "taken": [{"id": grant_id, "amount": text(part)} for grant_id, part in taken],
            "uncovered": text(uncovered),
        }
    left = [(grant.id, balances[grant.id] if grant.counts_at(at) else ZERO) for grant in grants]
    return {
        "balance": text(total(balance for _, balance in left)),
        "grants": [{"id": grant_id, "balance": text(balance)} for grant_id, balance in left],
        "uses": answers,
    }


def _granted(value: Any, field: str) -> _Granted:
    names = {"id", "amount", "kind", "starts_at", "created_at"}
    row = fields.object_of(value, field, known=names | {"expires_at"}, required={"id", "amount", "kind"})
    starts_at = row.get("starts_at")
    created_at = row.get("created_at")
    if starts_at is None and created_at is None:
        raise fields.invalid(f"{field}.starts_at", "give starts_at, created_at or both")
    start = fields.instant(starts_at if starts_at is not None else created_at, f"{field}.starts_at")
    created = fields.instant(created_at, f"{field}.created_at") if created_at is not None else start
    expires_at = row.get("expires_at")
    return _Granted(
        Grant(
            id=fields.text(row["id"], f"{field}.id"),
            kind=fields.choice(row["kind"], f"{field}.kind", KINDS),
            starts_at=start,
            expires_at=None if expires_at is None else fields.instant(expires_at, f"{field}.expires_at"),
            created_at=created,
        ),
        fields.decimal(row["amount"], f"{field}.amount", least=ZERO),
    )


def _use(value: Any, field: str) -> tuple[datetime, Decimal]:
    row = fields.object_of(value, field, known={"at", "amount"}, required={"at", "amount"})
    return fields.instant(row["at"], f"{field}.at"), fields.decimal(
        row["amount"], f"{field}.amount", least=ZERO
    )
