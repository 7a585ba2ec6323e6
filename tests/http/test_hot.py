"""The hot path answers as the views do, to the last header; what it leaves to them; and what it does with a mistake.

The tests of tests/api/test_events.py, test_bad_input.py and test_outage.py are run with both, too.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.urls import resolve

from aforo import hot
from aforo.http.middleware import HEADER
from aforo.kernel.clock import clock_at, now
from aforo.tenancy.services.api_keys import api_key_create, api_key_revoke
from metering.api.events import IngestView
from metering.models import DeadLetter, Event
from metering.services.profiles import metering_profile_set
from metering.writer import Writer
from tests.metering.rows import call, tally
from tests.workspaces import workspace

Answer = tuple[int, dict[str, str], Any]


def sent(application: hot.Application, body: bytes, path: str = "/v1/events", **environ: str) -> Answer:
    """Status, headers and document of the answer to a request as a server hands it over."""
    said: list[Any] = []
    content = application(
        {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "127.0.0.1:8000",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.input_terminated": True,
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            **environ,
        },
        lambda status, headers, *_: said.append((status, headers)),
    )
    ((status, headers),) = said
    return int(status[:3]), dict(headers), json.loads(b"".join(content))


def never(environ, start_response):
    raise AssertionError(f"{environ['PATH_INFO']} was handed on")


@pytest.fixture(autouse=True)
def connection_kept(monkeypatch):
    """The connection is in the test's transaction, which ends with it."""
    monkeypatch.setattr(hot, "close_old_connections", lambda: None)
    monkeypatch.setattr("django.core.signals.request_started.receivers", [])
    monkeypatch.setattr("django.core.signals.request_finished.receivers", [])


@pytest.fixture
def both(db: None, redis_empty: None) -> Callable[..., tuple[Answer, Answer]]:
    """Send one request through the views and, as another tenant's, through the hot path."""
    one, two = workspace("one"), workspace("two")
    views, path = WSGIHandler(), hot.Hot(never)
    keys = {"live": (one.key, two.key)}
    for name, changes in {"slow": {"rate_limit_per_s": 1}, "reader": {"scopes": ["read"]}, "old": {}}.items():
        made = [api_key_create(tenant=each.tenant, name=name, **changes) for each in (one, two)]
        keys[name] = made[0][1], made[1][1]
        if name == "old":
            for each, (key, _) in zip((one, two), made, strict=True):
                api_key_revoke(tenant=each.tenant, key_id=key.pk)

    def send(body: bytes, *, key: str | None = "live", **environ: str) -> tuple[Answer, Answer]:
        def authorized(place: int) -> dict[str, str]:
            return {"HTTP_AUTHORIZATION": f"Bearer {keys.get(key, (key, key))[place]}"} if key else {}

        # At one instant, which refusals tell to the microsecond.
        with clock_at(now()):
            return (
                sent(views, body, **environ, **authorized(0)),
                sent(path, body.replace(b'"one"', b'"two"'), **environ, **authorized(1)),
            )

    send.tenants = one, two
    return send


def comparable(answer: Answer) -> Answer:
    """Without what is random: the request's name, and keys that were generated."""
    status, headers, document = answer
    headers = {name.title(): value for name, value in headers.items()}
    assert headers.pop(HEADER).startswith("req_")
    document = json.loads(json.dumps(document).replace('"two"', '"one"'))
    for row in [document, *document.get("events", [])]:
        if str(row.get("idempotency_key", "")).startswith("gen_"):
            row["idempotency_key"] = "gen_"
            headers.pop("Content-Length")
    return status, headers, document


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


NO_KEY = {"metric": "api.call", "customer_id": "cust_abc"}
MEASURED = {"metric": "api.call", "quantity": 1}
REQUESTS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "single": (body(call("k1")), {}),
    "quick start": (body(NO_KEY), {"CONTENT_TYPE": "application/x-www-form-urlencoded"}),
    "no media type": (body(call("k1")), {"CONTENT_TYPE": ""}),
    "batch": (body([call("k1"), call("k1"), call("k1", 2), call("k2", customer_id="nobody"), NO_KEY]), {}),
    "envelope, verbose": (body({"events": [call("k1")]}), {"QUERY_STRING": "verbose=true"}),
    "lines": (body(call("k1")) + b"\n" + body(call("k2")), {"CONTENT_TYPE": "application/x-ndjson"}),
    "gzip": (gzip.compress(body(call("k1"))), {"HTTP_CONTENT_ENCODING": "gzip"}),
    "gzip, broken": (b"no gzip", {"HTTP_CONTENT_ENCODING": "gzip"}),
    "strict": (body(NO_KEY), {"QUERY_STRING": "strict=1"}),
    "gateway": (body(NO_KEY), {"HTTP_X_AFORO_SOURCE": "kong"}),
    "key in a header": (body(NO_KEY), {"HTTP_IDEMPOTENCY_KEY": "ключ".encode().decode("latin-1")}),
    "keys in a header": (body([NO_KEY] * 2), {"HTTP_IDEMPOTENCY_KEY": "b", "QUERY_STRING": "verbose"}),
    "meter": (body({"tenantId": "cust_abc", "metricKey": "api.call"}), {"path": "/v1/meter"}),
    "compound": (
        body({"correlationId": "c", "customerId": "cust_abc", "measurements": [MEASURED]}),
        {"path": "/v1/ingest/compound"},
    ),
    "alias": (body(call("k1")), {"path": "/v1/ingest/events/batch"}),
    "cloud event": (
        body({"quantity": 3}),
        {
            "HTTP_CE_SPECVERSION": "1.0",
            "HTTP_CE_ID": "ce-1",
            "HTTP_CE_SOURCE": "/gateway",
            "HTTP_CE_TYPE": "api.call",
            "HTTP_CE_SUBJECT": "cust_abc",
        },
    ),
    "unknown metric": (body(call("k1", metric="none")), {}),
    "of the future": (body(call("k1", timestamp="2999-01-01T00:00:00Z")), {}),
    "key twice": (b'{"a": 1, "a": 2}', {}),
    "too deep": (b"[" * 100_000, {}),
    "no UTF-8": (b"\xff", {}),
    "nothing": (b"", {}),
    "cut off": (body(call("k1")), {"CONTENT_LENGTH": "1000"}),
    "other media type": (b"a,b", {"CONTENT_TYPE": "text/csv"}),
    "no key": (body(call("k1")), {"key": None}),
    "no bearer": (body(call("k1")), {"key": None, "HTTP_AUTHORIZATION": "Basic x"}),
    "unknown key": (body(call("k1")), {"key": "sk_live_" + "a" * 40}),
    "revoked key": (body(call("k1")), {"key": "old"}),
    "key without the scope": (body(call("k1")), {"key": "reader"}),
    "key with a rate": (body(call("k1")), {"key": "slow"}),
    "other tenant": (body(call("k1")), {"HTTP_X_TENANT_ID": "third"}),
    "other tenant in the event": (body(call("k1", tenant_id="third")), {}),
    "own tenant in the event": (body(call("k1", tenant_id="one")), {}),
}


@pytest.mark.promise("P11", "P96")
@pytest.mark.parametrize("name", REQUESTS)
def test_both_answer_the_same_and_keep_the_same(both, name):
    content, environ = REQUESTS[name]

    views, path = both(content, **environ)
    assert comparable(path) == comparable(views)
    Writer(0).drain()

    one, two = both.tenants
    assert tally(two) == tally(one)
    for rows in (Event, DeadLetter):
        assert (
            rows.objects.filter(tenant=two.tenant).count() == rows.objects.filter(tenant=one.tenant).count()
        )


@pytest.mark.promise("P96")
def test_both_know_what_is_stored(both):
    both(body([call("k1"), call("k2")]))
    Writer(0).drain()

    for content, status in ((call("k1"), 202), (call("k2", 5), 409), ([call("k1"), call("k2", 5)], 202)):
        views, path = both(body(content))
        assert comparable(path) == comparable(views)
        assert path[0] == status
    assert path[2]["duplicates"] == path[2]["rejected"] == 1


def test_both_hold_what_their_tenant_holds(both):
    for each in both.tenants:
        metering_profile_set(tenant=each.tenant, holds_unknown_metrics=True, holds_unknown_customers=True)

    events = [call("k1", metric="none"), call("k2", customer_id="nobody"), call("k3", -1), call("k4")]
    for content in (events[0], events[1], events):
        views, path = both(body(content))
        assert comparable(path) == comparable(views)
        assert path[0] == 202
    assert path[2]["held"] == 2
    Writer(0).drain()

    one, two = both.tenants
    assert tally(two) == tally(one)
    # -1 is wrong by itself; of the four held, two came twice.
    assert DeadLetter.objects.filter(tenant=two.tenant, status="HELD").count() == 4


def test_both_count_a_keys_rate(both):
    answers = [both(body(call(f"k{number}")), key="slow") for number in range(3)]

    for views, path in answers:
        assert comparable(path) == comparable(views)
    # A burst of two seconds' worth passes.
    assert [path[0] for _, path in answers] == [202, 202, 429]
    assert answers[0][1][1]["RateLimit-Remaining"] == "1"


def test_every_path_is_a_door_of_the_views():
    for path in hot.PATHS:
        assert issubclass(resolve(path).func.view_class, IngestView)


@pytest.mark.parametrize(
    "environ",
    [
        {"REQUEST_METHOD": "GET"},
        {"REQUEST_METHOD": "OPTIONS"},
        {"path": "/v1/events/k1"},
        {"path": "/v1/usage"},
        {"HTTP_ACCEPT": "text/html"},
        {"QUERY_STRING": "format=xml"},
        {"HTTP_HOST": "elsewhere.example"},
        {"HTTP_HOST": ""},
    ],
)
def test_what_is_not_plain_is_left_to_the_views(environ):
    def otherwise(environ, start_response):
        start_response("204 No Content", [])
        return [b"{}"]

    assert sent(hot.Hot(otherwise), b"", **environ)[0] == 204


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/plain, */*", ""])
def test_json_is_what_a_plain_sender_accepts(db, accept):
    assert sent(hot.Hot(never), b"", HTTP_ACCEPT=accept)[0] == 401


def test_a_mistake_of_ours_is_a_problem_that_names_its_request(db, monkeypatch, caplog):
    def mistaken(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(hot, "ingested", mistaken)
    key = workspace().key

    status, headers, document = sent(hot.Hot(never), b"{}", HTTP_AUTHORIZATION=f"Bearer {key}")

    assert (status, document["code"], document["request_id"]) == (500, "internal", headers[HEADER])
    assert headers["Content-Type"] == "application/problem+json"
    assert "ZeroDivisionError" in caplog.text
