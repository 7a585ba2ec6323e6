"""How the edge is, for Prometheus: whether the publisher works, what waits for it, and whether the central site is whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import Error as StoreError
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import RedisError

from aforo.kernel.clock import now
from aforo.outbox.selectors import fact_oldest_at

from ..records import milliseconds
from ..selectors.publishing import publisher_state, records_counted
from ..services.touched import TOUCHED
from .central import central_store


class EdgeMetrics(Collector):
    """What is not known now is left out: an old number would look like a present one."""

    def collect(self) -> Iterator[Metric]:
        try:
            yield from self._publisher()
        except StoreError:
            # aforo_store_up says so.
            pass
        try:
            yield from self._site()
        except RedisError:
            yield GaugeMetricFamily("aforo_edge_site_up", "1 where the central site's Redis answers", value=0)

    def describe(self) -> Iterator[Metric]:
        """Nothing: a registry would ask store and site for the names alone."""
        return iter(())

    def _publisher(self) -> Iterator[Metric]:
        state, waiting = publisher_state(), fact_oldest_at(TOUCHED)
        yield GaugeMetricFamily(
            "aforo_edge_waiting_seconds",
            "Age of the oldest change that is not published; 0 where none waits",
            value=_age_s(waiting),
        )
        if state is not None:
            yield GaugeMetricFamily(
                "aforo_edge_publisher_age_seconds",
                "Since the publisher last looked for changes",
                value=_age_s(state.turned_at),
            )
            yield CounterMetricFamily(
                "aforo_edge_repairs", "How often all records were made anew", value=state.repairs
            )
            yield CounterMetricFamily(
                "aforo_edge_repaired_records",
                "Records that a repair found wrong or missing",
                value=state.repaired,
            )
        records = GaugeMetricFamily("aforo_edge_records", "Records of the edge", labels=["kind"])
        for kind, count in records_counted().items():
            records.add_metric([kind], count)
        yield records

    def _site(self) -> Iterator[Metric]:
        meta = central_store().meta()
        yield GaugeMetricFamily("aforo_edge_site_up", "1 where the central site's Redis answers", value=1)
        yield GaugeMetricFamily(
            "aforo_edge_site_complete", "1 where it has every record", value=int(meta.is_complete)
        )
        yield GaugeMetricFamily("aforo_edge_site_version", "Highest version that it has", value=meta.cursor)
        if meta.synced_at_ms is not None:
            age_s = (milliseconds(now()) - meta.synced_at_ms) / 1000
            yield GaugeMetricFamily(
                "aforo_edge_site_age_seconds",
                "Since it last heard the store; answers are stale after 10",
                value=age_s,
            )


def _age_s(since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (now() - since).total_seconds())
