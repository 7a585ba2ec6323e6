"""PostgreSQL is away: what is known goes on into the log, all else is asked to wait."""

import time
from contextlib import contextmanager

import pytest
from django.db import connection

from metering.writer import Writer
from tests.metering.rows import call, tally
from tests.workspaces import workspace

from .conftest import BOTH_WAYS, Api

pytestmark = [pytest.mark.django_db(transaction=True), *BOTH_WAYS]


@pytest.fixture
def acme(redis_empty):
    """A workspace whose key, customer and meter this process has met."""
    made = workspace()
    assert Api(made.key).post("/v1/events", call("k1")).status_code == 202
    return made


@contextmanager
def database_away(monkeypatch):
    """The database at an address where nothing listens, after all that was read has grown old."""
    port = connection.settings_dict["PORT"]
    later = time.monotonic() + 120
    connection.close()
    connection.settings_dict["PORT"] = "1"
    try:
        with monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", lambda: later)
            yield
    finally:
        connection.close()
        connection.settings_dict["PORT"] = port


def test_known_senders_are_answered_from_the_log(acme, monkeypatch):
    api = Api(acme.key)

    with database_away(monkeypatch):
        answer = api.post("/v1/events", call("k2"))
        assert (answer.status_code, answer["Aforo-Durability"]) == (202, "log")
    Writer(0).drain()

    assert tally(acme) == {"received": 2, "accepted": 2}
    assert api.get("/v1/events/k2").json()["status"] == "stored"


def test_what_cannot_be_known_is_asked_to_wait(acme, monkeypatch):
    api = Api(acme.key)

    with database_away(monkeypatch):
        answers = [
            api.post("/v1/events", call("k3", customer_id="cust_new")),
            api.post("/v1/events", call("k3", metric="new")),
            api.get("/v1/usage", customer_id="cust_abc", metric="api.call"),
            Api("sk_live_" + "a" * 40).post("/v1/events", call("k3")),
        ]

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
        assert answer["Retry-After"] == "2"
    Writer(0).drain()
    assert tally(acme) == {"received": 1, "accepted": 1}
