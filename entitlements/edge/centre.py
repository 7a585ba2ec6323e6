"""The centre as a remote site sees it: three addresses of the API, over one kept connection a thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import urllib3

from ..records import EdgeRecord
from ..renewals import LeaseReply, LeaseRequest

CONNECT_S = 2.0
ANSWER_S = 10.0


class Refused(OSError):
    """The centre answered, and not with what was asked for; the message has its status and words."""


class Changes(msgspec.Struct, frozen=True):
    """What `GET /v1/edge/changes` answers. age_ms: since the centre's publisher finished its last turn; None for never."""

    tenant: str
    records: list[EdgeRecord]
    cursor: int
    has_more: bool
    age_ms: int | None = None


class _Leases(msgspec.Struct, frozen=True):
    leases: list[LeaseReply]


class Centre:
    """endpoint: as https://api.example.com, a path before /v1 included. Every method raises OSError where it cannot be asked."""

    def __init__(self, endpoint: str, api_key: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}", "User-Agent": "aforo-edge/1"}
        # What is tried again, and when, is decided by whoever asks.
        self._pool = urllib3.PoolManager(
            retries=False, timeout=urllib3.Timeout(connect=CONNECT_S, read=ANSWER_S), maxsize=4
        )

    def changes(self, after: int, limit: int) -> Changes:
        """Records of a version above *after*, by version."""
        return self._asked("GET", f"/v1/edge/changes?after={after}&limit={limit}", None, Changes)

    def renew(self, tenant: str, edge: str, epoch: str, requests: Sequence[LeaseRequest]) -> list[LeaseReply]:
        """Ask for units of hard quotas, and tell what was returned. The tenant is the key's."""
        body = msgspec.json.encode({"edge": edge, "epoch": epoch, "leases": requests})
        return self._asked("POST", "/v1/edge/leases", body, _Leases).leases

    def events_send(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None, bytes]:
        answer = self._ask("POST", "/v1/events/batch", body, headers)
        return answer.status, answer.headers.get("Retry-After"), answer.data

    def _asked(self, method: str, path: str, body: bytes | None, kind: type[Any]) -> Any:
        answer = self._ask(method, path, body, {"Content-Type": "application/json"})
        if answer.status != 200:
            raise Refused(f"{method} {path}: {answer.status} {answer.data[:300].decode(errors='replace')}")
        try:
            return msgspec.json.decode(answer.data, type=kind)
        except msgspec.DecodeError as error:
            raise Refused(f"{method} {path}: the answer cannot be read: {error}") from None

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        try:
            # A redirect is a wrong address: followed, a POST would become a GET.
            return self._pool.request(
                method,
                self._endpoint + path,
                body=body,
                headers=self._headers | dict(headers),
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise OSError(f"{method} {path}: {error}") from None
