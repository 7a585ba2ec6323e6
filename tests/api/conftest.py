"""Two providers, and a client that sends as one of them; `stored()` lets the writer read what was sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from metering.writer import Writer
from tests.workspaces import Workspace, workspace


@pytest.fixture
def acme(db: None) -> Workspace:
    return workspace("acme_corp")


@pytest.fixture
def other(db: None) -> Workspace:
    return workspace("other")


class Api:
    """Calls with a key; answers keep Django's response with `.json()`. Bodies that are no bytes are sent as JSON."""

    def __init__(self, key: str | None, **headers: str) -> None:
        self._client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.headers |= headers

    def post(
        self, address: str, body: Any = None, *, content_type: str = "application/json", **headers: str
    ) -> Any:
        return self._send("post", address, body, content_type, headers)

    def patch(self, address: str, body: Any) -> Any:
        return self._send("patch", address, body, "application/json", {})

    def get(self, address: str, **query: Any) -> Any:
        return self._client.get(address, query, headers=self.headers)

    def _send(self, method: str, address: str, body: Any, content_type: str, headers: dict[str, str]) -> Any:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        send = getattr(self._client, method)
        return send(address, content, content_type=content_type, headers={**self.headers, **named})


@pytest.fixture
def api(acme: Workspace, redis_empty: None) -> Api:
    return Api(acme.key)


@pytest.fixture
def stored(redis_empty: None) -> Callable[[], None]:
    """Let the writer read the log to its end."""

    def read() -> None:
        Writer(0).drain()

    return read
