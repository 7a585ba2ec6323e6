"""Two providers, and a client that sends as one of them; `stored()` lets the writer read what was sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpResponse
from django.test import Client
from django.test.client import ClientHandler

from aforo.hot import Hot
from metering.writer import Writer
from tests.workspaces import Workspace, workspace


@pytest.fixture
def acme(db: None) -> Workspace:
    return workspace("acme_corp")


@pytest.fixture
def other(db: None) -> Workspace:
    return workspace("other")


class HotHandler(ClientHandler):
    """The hot path before Django, as aforo/wsgi.py has it."""

    def __call__(self, environ: dict[str, Any]) -> HttpResponse:
        django: list[HttpResponse] = []
        said: list[tuple[str, list[tuple[str, str]]]] = []

        def otherwise(environ, start_response):
            django.append(ClientHandler.__call__(self, environ))
            return []

        # Django's handler for tests leaves the connection alone, too: it is in the test's transaction.
        with mock.patch("aforo.hot.close_old_connections"):
            content = Hot(otherwise)(environ, lambda *words: said.append(words))
        if django:
            return django[0]
        ((status, headers),) = said
        response = HttpResponse(b"".join(content), status=int(status[:3]), headers=dict(headers))
        response.is_hot = True
        response.wsgi_request = WSGIRequest(environ)
        return response


class ViewsClient(Client):
    def __init__(self) -> None:
        # As from a real sender: with a host.
        super().__init__(raise_request_exception=False, headers={"Host": "testserver"})


class HotClient(ViewsClient):
    def __init__(self) -> None:
        super().__init__()
        self.handler = HotHandler(enforce_csrf_checks=False)


# For modules whose tests are run with the views and with the hot path.
BOTH_WAYS = [
    pytest.mark.usefixtures("way"),
    pytest.mark.parametrize("way", ["views", "hot"], indirect=True),
]


@pytest.fixture
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Api, "client", HotClient if request.param == "hot" else ViewsClient)


class Api:
    """Calls with a key; answers keep Django's response with `.json()`. Bodies that are no bytes are sent as JSON."""

    client: type[Client] = ViewsClient

    def __init__(self, key: str | None, **headers: str) -> None:
        self._client = self.client()
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.headers |= headers

    def post(
        self, address: str, body: Any = None, *, content_type: str = "application/json", **headers: str
    ) -> Any:
        return self._send("post", address, body, content_type, headers)

    def patch(self, address: str, body: Any) -> Any:
        return self._send("patch", address, body, "application/json", {})

    def put(self, address: str, body: Any) -> Any:
        return self._send("put", address, body, "application/json", {})

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


@pytest.fixture
def served(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hot]:
    """The application as a server calls it, except that the connection is the test's own and stays open."""
    settings.UPLOAD_DIR = str(tmp_path)
    monkeypatch.setattr("aforo.hot.close_old_connections", lambda: None)
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield Hot(WSGIHandler())
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)
