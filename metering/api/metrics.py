"""GET /metrics: the backlog of the event log and what apps above add, in the text that Prometheus reads."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from ipaddress import ip_address

from django.conf import settings
from django.db import Error as StoreError
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from ..backlog import ShardBacklog, backlogs, spool_waiting_bytes

_SHARD = (
    (
        "aforo_log_entries",
        "Entries of the log that are not rows yet; counted up to 1,000",
        lambda one: one.entries,
    ),
    ("aforo_log_bytes", "Their bytes, counted up to 16 MiB", lambda one: one.bytes),
    ("aforo_log_rows", "Submissions that fell back to the store and wait there", lambda one: one.rows),
    ("aforo_log_rows_bytes", "Their bytes", lambda one: one.rows_bytes),
    (
        "aforo_log_behind_seconds",
        "Age of the oldest submission that is not rows yet",
        lambda one: one.behind_s,
    ),
    ("aforo_log_set_aside", "Entries that a person must look at", lambda one: one.set_aside),
    ("aforo_log_has_writer", "1 where a writer holds the shard", lambda one: int(one.writer is not None)),
    (
        "aforo_log_written_timestamp_seconds",
        "When the shard's position last moved",
        lambda one: one.written_at and one.written_at.timestamp(),
    ),
)

_sources: list[Collector] = []


def metrics_add(source: Collector) -> None:
    """Called once by an app above, in its `apps.py`, for what it has to say."""
    _sources.append(source)


def metrics(request: HttpRequest) -> HttpResponse:
    """Answered with METRICS_TOKEN as a bearer token; without one to this host itself alone."""
    if not _is_allowed(request):
        return HttpResponse(
            "Ask from this host, or set METRICS_TOKEN and send it as a bearer token.\n", status=403
        )
    registry = CollectorRegistry()
    for source in (_Backlog(), *_sources):
        registry.register(source)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _is_allowed(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        wanted = f"Bearer {settings.METRICS_TOKEN}"
        return hmac.compare_digest(request.headers.get("Authorization", "").encode(), wanted.encode())
    # A proxy on this host asks for somebody else.
    is_forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    try:
        return not is_forwarded and ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


class _Backlog(Collector):
    """What is not known now is left out: an old number would look like a present one."""

    def collect(self) -> Iterator[Metric]:
        try:
            found: list[ShardBacklog] = backlogs()
        except StoreError:
            found = []
        yield GaugeMetricFamily("aforo_store_up", "1 where PostgreSQL answers", value=int(bool(found)))
        for name, text, value_of in _SHARD:
            family = GaugeMetricFamily(name, text, labels=["shard"])
            for one in found:
                value = value_of(one)
                if value is not None:
                    family.add_metric([str(one.shard)], value)
            yield family
        yield GaugeMetricFamily(
            "aforo_spool_bytes", "What lies in this host's spool", value=spool_waiting_bytes()
        )
