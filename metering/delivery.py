"""Delivery of recorded events in batches, over HTTP or straight through intake and log.

A batch is tried until it is answered, always with the same bytes: the keys in it make a second delivery harmless.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from aforo.kernel.errors import Problem

CONNECT_TIMEOUT_S = 30.0
PAUSE_FIRST_S, PAUSE_MAX_S = 0.2, 5.0
# How long one batch is tried before the sender gives up; a restart takes seconds.
PATIENCE_S = 300.0
RETRIED = frozenset({408, 425, 429})

# Numbers are sent as they were read: 0.1 is a tenth.
encode = msgspec.json.Encoder(decimal_format="number").encode


class RefusedEvent(msgspec.Struct, frozen=True):
    """An event that became a dead letter; index: its place in the batch, counted from 0."""

    index: int
    code: str
    detail: str = ""


class Receipt(msgspec.Struct, frozen=True):
    """What was answered to one batch. attempts: how often it was sent."""

    accepted: int
    duplicates: int
    refused: tuple[RefusedEvent, ...]
    attempts: int = 1


class Delivery(Protocol):
    """A way for batches of events."""

    def send(self, events: list[dict[str, Any]]) -> Receipt:
        """Return once the batch is durable. Raises Problem where it cannot be delivered."""


class HttpDelivery:
    """Posts batches to an ingest address.

    url: such as http://127.0.0.1:8000. key: an API key of the tenant. tenant_slug: for X-Tenant-Id.
    on_pause: told (seconds, why) before each pause between two attempts.
    """

    def __init__(
        self,
        *,
        url: str,
        key: str,
        tenant_slug: str,
        patience_s: float = PATIENCE_S,
        on_pause: Callable[[float, str], None] = lambda seconds, why: None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Problem("input_invalid", f"{url!r} is no address; write it like http://127.0.0.1:8000.")
        self.url = url.rstrip("/")
        self._parts = parts
        self._path = f"{parts.path.rstrip('/')}/v1/events"
        self._headers = {
            "Authorization": f"Bearer {key}",
            "X-Tenant-Id": tenant_slug,
            "Content-Type": "application/json",
        }
        self._patience_s = patience_s
        self._on_pause = on_pause
        self._connection: http.client.HTTPConnection | None = None

    def send(self, events: list[dict[str, Any]]) -> Receipt:
        """Retries connection errors, 5xx, 408 and 429 (as Retry-After says), and halves a batch that is too large.

        Raises Problem("storage_unavailable") when patience ends, Problem("input_invalid") for any other refusal.
        """
        body = encode(events)
        deadline = time.monotonic() + self._patience_s
        attempts = 0
        while True:
            attempts += 1
            status, answer, pause_s = self._post(body)
            if status == 202:
                return _receipt(answer, attempts)
            if status == 413 and len(events) > 1:
                return self._send_halves(events)
            if status is not None and status < 500 and status not in RETRIED:
                raise Problem(
                    "input_invalid", f"{self.url} refuses the batch ({status}): {detail_of(answer)}"
                )
            why = f"{status}: {detail_of(answer)}" if status is not None else answer.decode()
            if pause_s is None:
                pause_s = min(PAUSE_FIRST_S * 2 ** (attempts - 1), PAUSE_MAX_S)
            if time.monotonic() + pause_s > deadline:
                raise Problem(
                    "storage_unavailable",
                    f"{self.url} has not taken the batch in {self._patience_s:g} s ({why}). "
                    "Repeat the command when it does: what has arrived is counted once.",
                )
            self._on_pause(pause_s, why)
            time.sleep(pause_s)

    def _send_halves(self, events: list[dict[str, Any]]) -> Receipt:
        middle = len(events) // 2
        left, right = self.send(events[:middle]), self.send(events[middle:])
        moved = (RefusedEvent(row.index + middle, row.code, row.detail) for row in right.refused)
        return Receipt(
            accepted=left.accepted + right.accepted,
            duplicates=left.duplicates + right.duplicates,
            refused=(*left.refused, *moved),
            attempts=1 + left.attempts + right.attempts,
        )

    def _post(self, body: bytes) -> tuple[int | None, bytes, float | None]:
        """Status, answer and the pause that the server asked for; no status where the connection failed."""
        try:
            connection = self._connection or self._connect()
            connection.request("POST", self._path, body, self._headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return None, (str(error) or type(error).__name__).encode(), None
        wanted = response.getheader("Retry-After", "")
        return response.status, answer, float(wanted) if wanted.isascii() and wanted.isdigit() else None

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(self._parts.hostname or "", self._parts.port, timeout=CONNECT_TIMEOUT_S)
        return self._connection

    def close(self) -> None:
        """Let go of the connection; the next batch opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Answer(msgspec.Struct):
    """The body of a 202, as far as it matters here."""

    accepted: int
    duplicates: int
    events: list[dict[str, Any]] = []


def _receipt(body: bytes, attempts: int) -> Receipt:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.DecodeError as error:
        raise Problem("input_invalid", f"The answer is none of an ingest address: {error}.") from None
    refused = tuple(
        RefusedEvent(row["index"], row["code"], row.get("detail", ""))
        for row in answer.events
        if row.get("code")
    )
    return Receipt(answer.accepted, answer.duplicates, refused, attempts)


def detail_of(body: bytes) -> str:
    """The sentence of a problem document, or the beginning of whatever else was answered."""
    try:
        return str(msgspec.json.decode(body, type=dict[str, Any])["detail"])
    except (msgspec.DecodeError, KeyError):
        return body[:200].decode(errors="replace")
