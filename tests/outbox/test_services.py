"""Facts: there once the transaction is committed, taken by one consumer, and again where that one failed."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from aforo.outbox.models import Fact
from aforo.outbox.services import fact_write, facts_take
from aforo.tenancy.services.tenants import tenant_create

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tenant():
    return tenant_create(slug="acme_corp", name="Acme")


def taken(topic: str = "news", count_max: int = 10) -> list[int]:
    with transaction.atomic():
        return [fact.body["n"] for fact in facts_take(topic, count_max)]


def test_the_oldest_facts_of_a_topic_are_taken_once(tenant):
    for n in range(3):
        fact_write(tenant=tenant, topic="news", body={"n": n})
    fact_write(tenant=tenant, topic="other", body={"n": 9})

    assert taken(count_max=2) == [0, 1]
    assert taken() == [2]
    assert taken() == []
    assert taken("other") == [9]


def test_a_fact_is_written_and_taken_with_its_transaction(tenant):
    with transaction.atomic():
        fact_write(tenant=tenant, topic="news", body={"n": 1})
        transaction.set_rollback(True)
    assert taken() == []

    fact_write(tenant=tenant, topic="news", body={"n": 2})
    with transaction.atomic():
        assert len(facts_take("news", 10)) == 1
        transaction.set_rollback(True)
    assert taken() == [2]


def test_two_takers_share_the_facts_without_waiting(tenant):
    for n in range(2):
        fact_write(tenant=tenant, topic="news", body={"n": n})
    by_other: list[int] = []

    def take() -> None:
        by_other.extend(taken())
        connection.close()

    with transaction.atomic():
        mine = [fact.body["n"] for fact in facts_take("news", 1)]
        other = threading.Thread(target=take)
        other.start()
        other.join(timeout=10)
        assert by_other == [1]
    assert mine == [0]
    assert Fact.objects.count() == 0


def test_facts_are_not_taken_outside_a_transaction(tenant):
    with pytest.raises(RuntimeError):
        facts_take("news", 1)
