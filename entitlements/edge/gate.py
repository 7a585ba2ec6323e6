"""The calls of a site: may a customer use a feature, reservations settled and released. Redis, and nothing else, is asked.

The same for the web server (aforo/hot.py and the views beside it) and for the agent's own server.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from redis import RedisError

from aforo.kernel.clock import now
from aforo.kernel.decimals import EXACT
from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text
from aforo.kernel.texts import is_storable
from metering.meters import NotANumber, number_of
from metering.strict_json import check_shape, read_json

from ..decision import DRY_RETRY_AFTER_S, Ask, Reservation
from ..records import milliseconds, units_text
from ..refusals import headers_of, refusal_of
from .store import Answer, EdgeStore

CHECKS_MAX = 100
TTL_DEFAULT_S = 60
TTL_MAX_S = 3_600
NAME_LENGTH_MAX = 255
# As `Entitlement` bounds limits.
UNITS_MAX = 10**15
# A snapshot without a Redis is trusted for so long at most.
SNAPSHOT_TTL_S = 5
# A reservation whose lease is dry waits so long for units before it is refused; everything else is answered at once.
LEASE_WAIT_S = 0.1
LEASE_LOOK_S = 0.005

_CUSTOMER_NAMES = ("tenantId", "customerId", "customer_id")
_FIELDS = frozenset({*_CUSTOMER_NAMES, "featureKey", "quantity", "reserve", "ttl_s"})


@dataclass(frozen=True, slots=True)
class Check:
    """One question. quantity: as asked, unscaled."""

    customer: str
    feature: str
    quantity: Decimal = Decimal(1)
    is_reserving: bool = False
    ttl_s: int = TTL_DEFAULT_S


@dataclass(frozen=True, slots=True)
class Reply:
    document: dict[str, Any]
    headers: Mapping[str, str]


class Gate:
    """The calls of one site. clock: the present instant."""

    def __init__(self, store: EdgeStore, clock: Callable[[], datetime] = now) -> None:
        self._store = store
        self._clock = clock

    def can_access(self, tenant: str, body: bytes, *, is_enforced: bool = False) -> Reply:
        """Answer `POST /v1/canAccess`.

        is_enforced: as a gateway answers: a refusal is a Problem of 403 or 429.
        Raises Problem for a body that makes no sense.
        """
        check = check_of(_json(body))
        now_ms = self._now_ms()
        answer = self._answer(tenant, check, now_ms)
        if is_enforced and not answer.decision.is_allowed:
            raise enforced(check, answer, now_ms)
        return Reply(document_of(check, answer, now_ms), reply_headers(answer, now_ms))

    def can_access_batch(self, tenant: str, body: bytes) -> Reply:
        """Answer `POST /v1/canAccess/batch`: {"checks": [...]} of up to 100, each decided by itself, in order."""
        document = _json(body)
        checks = document.get("checks")
        if document.keys() != {"checks"} or not isinstance(checks, list):
            raise _invalid({"checks": "is a list, and all that the body has"})
        if not 1 <= len(checks) <= CHECKS_MAX:
            raise _invalid({"checks": f"has {len(checks)} checks; 1 to {CHECKS_MAX} are answered at once"})
        asked = [check_of(one, place=f"checks[{index}].") for index, one in enumerate(checks)]
        now_ms = self._now_ms()
        try:
            asks = [(one.customer, one.feature, self._ask(tenant, one, now_ms)) for one in asked]
            answers = self._store.decide_each(tenant, asks)
        except RedisError:
            answers = [self._store.decision_without_site(tenant)] * len(asked)
        rows = [document_of(check, answer, now_ms) for check, answer in zip(asked, answers, strict=True)]
        return Reply({"checks": rows}, {})

    def settle(self, tenant: str, reservation: str) -> str | None:
        """Settle a reservation and return its id as the writer knows it; None where it is not open any more.

        Raises Problem not_found for what is no reservation's id, storage_unavailable where the site cannot be asked.
        """
        customer, feature, id = reservation_parts(reservation)
        with _asked():
            is_open = self._store.settle(tenant, customer, feature, id, self._now_ms())
        return id if is_open else None

    def settled(self, tenant: str, reservation: str) -> Reply:
        """Answer `POST /v1/reservations/{id}/settle`. Raises Problem not_found where it is not open any more."""
        event_id = self.settle(tenant, reservation)
        if event_id is None:
            raise gone(reservation)
        return Reply({"id": reservation, "status": "settled", "event_reservation_id": event_id}, {})

    def unsettle(self, tenant: str, reservation: str) -> None:
        """Give back a reservation that `settle` settled for an event that was then refused."""
        customer, feature, id = reservation_parts(reservation)
        with _asked():
            self._store.unsettle(tenant, customer, feature, id, self._now_ms())

    def release(self, tenant: str, reservation: str) -> Reply:
        """Answer `DELETE /v1/reservations/{id}`. Raises Problem not_found where it is not open any more."""
        customer, feature, id = reservation_parts(reservation)
        with _asked():
            is_open = self._store.release(tenant, customer, feature, id, self._now_ms())
        if not is_open:
            raise gone(reservation)
        return Reply({"id": reservation, "status": "released"}, {})

    def snapshot(self, tenant: str, customer: str, feature: str) -> Reply:
        """A decision that a gateway without Redis may trust for `ttl_s`.

        bound: it lets through at most the calls of so many seconds more than there is, on each of its nodes.
        """
        check = Check(customer, feature, Decimal(0))
        now_ms = self._now_ms()
        document = document_of(check, self._answer(tenant, check, now_ms), now_ms)
        document |= {
            "mode": "snapshot",
            "bound": f"calls of {SNAPSHOT_TTL_S} s a node",
            "ttl_s": SNAPSHOT_TTL_S,
        }
        return Reply(document, {"Cache-Control": f"max-age={SNAPSHOT_TTL_S}"})

    def _answer(self, tenant: str, check: Check, now_ms: int) -> Answer:
        try:
            ask = self._ask(tenant, check, now_ms)
            answer = self._store.decide(tenant, check.customer, check.feature, ask)
            # A lease that is dry, or the first of its window: the keeper is at it, and nobody is refused what there is.
            until_s = time.monotonic() + LEASE_WAIT_S
            while _waits_for_lease(answer) and time.monotonic() < until_s:
                time.sleep(LEASE_LOOK_S)
                answer = self._store.decide(tenant, check.customer, check.feature, ask)
            return answer
        except RedisError:
            return self._store.decision_without_site(tenant)

    def _ask(self, tenant: str, check: Check, now_ms: int) -> Ask:
        return Ask(
            quantity=_scaled(check.quantity, self._store.places(tenant, check.feature)),
            now_ms=now_ms,
            is_reserving=check.is_reserving,
            ttl_ms=check.ttl_s * 1000,
        )

    def _now_ms(self) -> int:
        return milliseconds(self._clock())


class _asked:
    """A site that cannot be asked is told as that."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, RedisError):
            raise Problem(
                "storage_unavailable", "The site's Redis cannot be asked now.", retry_after_s=1
            ) from error


def _waits_for_lease(answer: Answer) -> bool:
    """Whether a reservation was refused only because its units are with the centre still."""
    decision = answer.decision
    return not decision.is_allowed and decision.is_low and decision.retry_after_s == DRY_RETRY_AFTER_S


def check_of(document: Any, place: str = "") -> Check:
    """The question of a body; everything that is wrong with it is said at once. Raises Problem input_invalid."""
    if not isinstance(document, dict):
        raise _invalid({place.rstrip(".") or "body": "is an object"})
    errors = {f"{place}{name}": "is no field of a check" for name in document.keys() - _FIELDS}
    customers = [name for name in _CUSTOMER_NAMES if document.get(name) is not None]
    customer = document[customers[0]] if customers else None
    if len({document[name] for name in customers if isinstance(document[name], str)}) > 1:
        errors[f"{place}{customers[1]}"] = f"names another customer than {customers[0]}"
    feature = document.get("featureKey")
    for name, value in ((customers[0] if customers else "tenantId", customer), ("featureKey", feature)):
        if not isinstance(value, str) or not 1 <= len(value) <= NAME_LENGTH_MAX or not is_storable(value):
            errors[f"{place}{name}"] = f"is a text of 1 to {NAME_LENGTH_MAX} characters"
    reserve = document.get("reserve", False)
    if not isinstance(reserve, bool):
        errors[f"{place}reserve"] = "is true or false"
    ttl_s = document.get("ttl_s", TTL_DEFAULT_S)
    if not isinstance(ttl_s, int) or isinstance(ttl_s, bool) or not 1 <= ttl_s <= TTL_MAX_S:
        errors[f"{place}ttl_s"] = f"is a whole number of seconds from 1 to {TTL_MAX_S}"
    quantity = _quantity(document.get("quantity", 1))
    if quantity is None:
        errors[f"{place}quantity"] = "is a number, zero or more"
    if errors:
        raise _invalid(errors)
    return Check(str(customer), str(feature), quantity or Decimal(0), reserve, ttl_s)


def document_of(check: Check, answer: Answer, now_ms: int) -> dict[str, Any]:
    """The answer's document.

    Quota 1,000 with 550 used: {"allowed": true, "quota": 1000, "remaining": 450, "used": 550, "reason": "OK", …}.
    """
    decision, places = answer.decision, answer.places
    is_leased = decision.reservation is not None and not decision.reservation.id.startswith("0.")
    margin: dict[str, Any] = {"level": answer.margin_level}
    if answer.margin_action == "downgrade" and answer.downgrades:
        margin["downgrades"] = answer.downgrades
    document: dict[str, Any] = {
        "allowed": decision.is_allowed,
        "quota": _number(decision.limit, places),
        "remaining": _number(decision.remaining, places),
        "used": _number(decision.used, places),
        "reason": decision.reason.value,
        "feature": check.feature,
        "plan": answer.plan or None,
        "limit_type": answer.limit_type if answer.kind == "metered" else None,
        "reset_at": _instant(decision.window_end_ms),
        "margin": margin,
        "as_of": _instant(answer.as_of_ms),
        "stale": decision.is_stale,
        # What it may be off by: docs/edge/leases.md derives it.
        "mode": "leased" if is_leased else "read",
        "bound": 0 if is_leased else None,
    }
    if answer.value is not None:
        document["value"] = answer.value
    if decision.retry_after_s is not None:
        document["retry_after_s"] = decision.retry_after_s
    if decision.reservation is not None:
        document["reservation"] = {
            "id": reservation_id(check.customer, check.feature, decision.reservation),
            "units": _number(decision.reservation.units, places),
            "expires_at": _instant(decision.reservation.expires_at_ms),
        }
    return document


def reply_headers(answer: Answer, now_ms: int) -> dict[str, str]:
    """What goes with the document."""
    decision = answer.decision
    return headers_of(
        decision,
        limit=_shown(decision.limit, answer.places),
        remaining=_shown(decision.remaining, answer.places),
        now_ms=now_ms,
        margin_level=answer.margin_level,
    )


def enforced(check: Check, answer: Answer, now_ms: int) -> Problem:
    """A refusal as a gateway answers it."""
    return refusal_of(
        answer.decision,
        customer=check.customer,
        feature=check.feature,
        limit=_shown(answer.decision.limit, answer.places),
        used=_shown(answer.decision.used, answer.places),
        headers=reply_headers(answer, now_ms),
    )


def reservation_id(customer: str, feature: str, reservation: Reservation) -> str:
    """The reservation's id as callers see it: who and what it is for go with it, so that it can be ended by itself."""
    text = "\n".join((reservation.id, feature, customer))
    return "rsv_" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def reservation_parts(text: str) -> tuple[str, str, str]:
    """Customer, feature and the script's id. Raises Problem not_found for what no site has made."""
    try:
        packed = text.removeprefix("rsv_").encode("ascii")
        id, feature, customer = (
            base64.urlsafe_b64decode(packed + b"=" * (-len(packed) % 4)).decode().split("\n", 2)
        )
        lease, units, nonce = id.split(".")
        is_id = (
            text.startswith("rsv_")
            and lease.isdigit()
            and units.isdigit()
            and nonce.isalnum()
            and id.isascii()
        )
    except (ValueError, binascii.Error):
        is_id = False
    if not is_id:
        raise gone(text)
    return customer, feature, id


def gone(reservation: str) -> Problem:
    """Of a reservation that was settled, released, has expired, or never was."""
    return Problem("not_found", f"No open reservation {reservation[:64]!r}.")


def _quantity(value: Any) -> Decimal | None:
    try:
        quantity = number_of(value)
    except NotANumber:
        return None
    return quantity if quantity is not None and 0 <= quantity <= UNITS_MAX else None


def _scaled(quantity: Decimal, places: int) -> int:
    scaled = EXACT.scaleb(quantity, places)
    if scaled != scaled.to_integral_value() or scaled > UNITS_MAX:
        raise _invalid(
            {"quantity": f"has units of {places} decimal places, up to {UNITS_MAX:,} of the smallest"}
        )
    return int(scaled)


def _number(scaled: int | None, places: int) -> int | str | None:
    """A number where it is whole, a decimal text elsewhere: 450, "4.50"."""
    if scaled is None or places == 0:
        return scaled
    return _shown(scaled, places)


def _shown(scaled: int | None, places: int) -> str:
    return "" if scaled is None else units_text(scaled, places)


def _instant(at_ms: int | None) -> str | None:
    return None if at_ms is None else instant_text(datetime.fromtimestamp(at_ms / 1000, UTC))


def _json(body: bytes) -> dict[str, Any]:
    check_shape(body)
    document = read_json(body)
    if not isinstance(document, dict):
        raise Problem("body_unreadable", "The body is an object.")
    return document


def _invalid(errors: Mapping[str, str]) -> Problem:
    said = "; ".join(f"{field} {what}" for field, what in sorted(errors.items()))
    return Problem("input_invalid", f"{said}.", errors={field: [what] for field, what in errors.items()})
