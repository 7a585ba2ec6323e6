"""The publisher and what it needs, killed and taken away while decisions are asked for without a pause."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import RedisError

from aforo.kernel.clock import now
from aforo.tenancy.services.api_keys import api_key_create, api_key_revoke
from entitlements.decision import Ask
from entitlements.edge.feed import milliseconds
from tests.entitlements.edge.shops import metered, shop, site

from .programs import PUBLISHER, kill, program, store_closed, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_empty"),
]

TENANT = "acme_corp/live"


class Asker(threading.Thread):
    """Asks for decisions without a pause, as a gateway's node does; counts what it is told."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.answers: Counter[tuple[bool, bool]] = Counter()
        self.errors: list[Exception] = []
        self.ended = threading.Event()
        self.remaining: int | None = None
        self.is_stale = False

    def run(self) -> None:
        store = site()
        while not self.ended.is_set():
            try:
                decided = store.decide(
                    TENANT, "cust_abc", "advanced_ai_search", Ask(1, milliseconds(now()))
                ).decision
            except RedisError as error:
                self.errors.append(error)
                continue
            self.answers[decided.is_allowed, decided.is_stale] += 1
            self.remaining, self.is_stale = decided.remaining, decided.is_stale
            time.sleep(0.002)


@contextmanager
def asking() -> Iterator[Asker]:
    asker = Asker()
    asker.start()
    try:
        yield asker
    finally:
        asker.ended.set()
        asker.join()
    # Nobody was left without an answer, and a customer in good standing was never refused.
    assert (asker.errors, {allowed for allowed, _ in asker.answers}) == ([], {True})


def whole() -> bool:
    return site().meta().is_complete


def took_s(holds, what: str) -> float:
    began_s = time.monotonic()
    wait_until(holds, what)
    return time.monotonic() - began_s


@pytest.mark.promise("P87")
def test_a_site_that_is_emptied_goes_on_deciding_and_is_whole_again_within_30_seconds():
    shop()
    with program(*PUBLISHER):
        wait_until(whole, "the first filling")
        with asking() as asker:
            wait_until(lambda: asker.remaining == 450, "answers")
            site().redis.flushdb()
            assert took_s(lambda: whole() and asker.remaining == 450 and not asker.is_stale, "the site") < 30
            # Meanwhile the policy decided, and said so.
            assert asker.answers[True, True] > 0


@pytest.mark.promise("P82")
def test_a_change_is_at_the_site_within_a_second_and_a_revoked_key_too():
    acme = shop()
    with program(*PUBLISHER):
        wait_until(whole, "the first filling")
        with asking() as asker:
            for used in range(551, 556):
                metered(acme, 1)
                assert took_s(lambda used=used: asker.remaining == 1_000 - used, "the usage") < 1
        key, _ = api_key_create(tenant=acme.tenant, name="gateway")
        known = lambda: site().api_key(key.public_id)  # noqa: E731
        assert took_s(lambda: known() is not None, "the key") < 1
        api_key_revoke(tenant=acme.tenant, key_id=key.pk)
        assert took_s(lambda: known().is_revoked, "its end") < 1


@pytest.mark.promise("P87")
def test_a_publisher_that_is_killed_is_followed_by_another_that_finds_what_it_missed():
    acme = shop()
    with program(*PUBLISHER) as first, asking() as asker:
        wait_until(lambda: asker.remaining == 450, "the first filling")
        kill(first)
        metered(acme, 7)
        assert asker.remaining == 450
        with program(*PUBLISHER):
            wait_until(lambda: asker.remaining == 443, "the other publisher")


def test_of_two_publishers_one_works_and_the_other_takes_over():
    acme = shop()
    with program(*PUBLISHER) as first, program(*PUBLISHER) as second, asking() as asker:
        wait_until(lambda: asker.remaining == 450, "the first filling")
        kill(first)
        metered(acme, 1)
        wait_until(lambda: asker.remaining == 449, "the second publisher")
        second.send_signal(signal.SIGTERM)
        assert second.wait(timeout=10) == 0


@pytest.mark.promise("P87")
def test_while_the_store_is_away_answers_go_on_and_say_that_they_are_stale():
    acme = shop()
    with program(*PUBLISHER) as publisher, asking() as asker:
        wait_until(lambda: asker.remaining == 450 and not asker.is_stale, "the first filling")
        with store_closed():
            # Stale after 10 s without a word from the store.
            assert 8 < took_s(lambda: asker.is_stale, "staleness") < 15
            assert asker.remaining == 450
            assert publisher.poll() is None
        metered(acme, 1)
        wait_until(lambda: asker.remaining == 449 and not asker.is_stale, "the publisher's return")
