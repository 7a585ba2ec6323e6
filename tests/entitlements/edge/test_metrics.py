"""Metrics of the edge: as things are, and nothing where they cannot be asked."""

from __future__ import annotations

import pytest
from django.test import override_settings
from prometheus_client import CollectorRegistry, generate_latest

from entitlements.edge.metrics import EdgeMetrics

from .shops import metered, published, shop

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_empty")]


def shown() -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(EdgeMetrics())
    lines = [line.rpartition(" ") for line in generate_latest(registry).decode().splitlines()]
    return {name: float(value) for name, _, value in lines if not name.startswith("#")}


def test_a_published_site_is_whole_and_a_change_waits_until_it_is_published():
    acme = shop(used=1)
    publisher = published()
    seen = shown()
    assert (seen["aforo_edge_site_complete"], seen["aforo_edge_waiting_seconds"]) == (1, 0)
    assert seen['aforo_edge_records{kind="feature"}'] == 1
    assert seen["aforo_edge_site_age_seconds"] < 10

    metered(acme, 1)
    assert shown()["aforo_edge_waiting_seconds"] > 0
    publisher.turn()
    assert shown()["aforo_edge_waiting_seconds"] == 0


def test_a_site_that_is_away_says_nothing_else():
    with override_settings(REDIS_URL="redis://127.0.0.1:1/0"):
        seen = shown()
    assert seen["aforo_edge_site_up"] == 0
    assert "aforo_edge_site_complete" not in seen


def test_they_are_part_of_what_prometheus_is_answered(client):
    assert b"aforo_edge_site_up" in client.get("/metrics").content
