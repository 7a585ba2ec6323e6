"""docs/benchmarks.md and its plots, from the figures of benchmarks/results.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pygal
from pygal.style import CleanStyle

from .stack import PROJECT

DOCS = PROJECT / "docs"
PLOTS = DOCS / "benchmarks"

# What each benchmark promises: (figure, sentence, whether it holds).
_HEAD = """# Benchmarks

Made by `make bench`, which measures on the machine it runs on, each figure beside its floor from the same run, and by
`make bench NAME=…` for the others. Not made by hand. Ratios say more than milliseconds: other machines, and busier ones, differ.

"""


def write(results: dict[str, Any]) -> None:
    """Write the page anew with all benchmarks that have figures."""
    PLOTS.mkdir(exist_ok=True)
    sections = [_HEAD + _machine(results["machine"])]
    for name, section in _SECTIONS.items():
        if name in results:
            sections.append(section(results[name]))
    (DOCS / "benchmarks.md").write_text("\n".join(sections))


def _machine(machine: dict[str, Any]) -> str:
    return (
        f"Measured on {machine['date']}: {machine['cores']} cores, shared by servers and load generator; "
        f"Python {machine['python']}, PostgreSQL {machine['postgresql']}; a write of 512 bytes and its fdatasync took "
        f"{machine['fdatasync_p95_ms']} ms at the 95th percentile; load average {machine['load_average_before']} before.\n"
    )


def _single(found: dict[str, Any]) -> str:
    percents = [f"p{percent:g}" for percent in found["percents"]]
    _plot(
        "ingest_single",
        pygal.Line,
        "One event, on disk before 202: milliseconds in the server",
        percents,
        {"Aforo": found["ours_ms"], "the same append alone": found["append_ms"]},
    )
    rows = [
        ("in the server, p50 / p95 / p99", _ms(found, "p50_ms", "p95_ms", "p99_ms"), "p95 ≤ 1.2 ms"),
        ("the same append alone, p50 / p95", _ms(found, "floor_p50_ms", "floor_p95_ms"), "the floor"),
        ("ratio at p50", f"{found['ratio_p50']}", "≤ 1.7"),
        (
            "as the caller sees it, p50 / p95 / p99",
            _ms(found, "client_p50_ms", "client_p95_ms", "client_p99_ms"),
            "",
        ),
        ("a bare WSGI hello, as the caller sees it, p50", _ms(found, "hello_client_p50_ms"), "a floor"),
        ("Django's smallest view, in the server, p50", _ms(found, "django_hello_p50_ms"), "a floor"),
        ("the disk's own fdatasync, p95, just before and after", _ms(found, "fdatasync_p95_ms"), "≤ 0.5 ms"),
        ("requests a second, half of what saturates", f"{found['rate_per_s']:,}", ""),
    ]
    return (
        "## ingest_single\n\n"
        "`POST /v1/events` with the quick start's event, under `make run`'s settings (two web processes, writer and store "
        "working), at half of the rate that saturates it. Requests come at random times laid out beforehand and latency "
        "counts from the time one was due. 202 is answered when the log has fsynced.\n\n"
        + _table(rows)
        + "\n![](benchmarks/ingest_single.svg)\n"
    )


def _batch(found: dict[str, Any]) -> str:
    _plot(
        "ingest_batch",
        pygal.Line,
        "Events by second: accepted, and visible in usage",
        [str(second) if second % 10 == 0 else "" for second in found["seconds"]],
        {"accepted": found["accepted"], "visible": found["visible"]},
    )
    cpu = ", ".join(f"{name} {us:g}" for name, us in found["cpu_us"].items() if us >= 0.1)
    rows = [
        ("events a second, end to end, for a minute", f"{found['rate_per_s']:,}", "≥ 25,000"),
        ("flat out, until all was in usage", f"{found['capacity_per_s']:,}", ""),
        ("COPY and the same identity table alone", f"{found['copy_per_s']:,}", "the floor"),
        ("ratio to it", f"{found['ratio_copy']}", ""),
        (
            "accepted until in usage, p50 / p99",
            f"{found['freshness_p50_s']} s / {found['freshness_p99_s']} s",
            "p99 ≤ 2 s",
        ),
        ("the same at half of the rate, p99", f"{found['freshness_half_p99_s']} s", "≤ 1 s"),
        ("until the backlog was empty, after the last answer", f"{found['drain_s']} s", ""),
        (
            "answer to a batch, p50 / p95 / p99",
            _ms(found, "client_p50_ms", "client_p95_ms", "client_p99_ms"),
            "",
        ),
        (
            "processor time an event, all processes and the load generator",
            f"{found['cpu_us_per_event']} µs",
            "",
        ),
        (
            "bytes an event in the store, quick start's event, indexes included",
            f"{found['bytes_per_event']}",
            "≤ 400",
        ),
    ]
    return (
        "## ingest_batch\n\n"
        "Batches of 1,000 over HTTP, all keys new, 10,000 customers with a subscription each × 5 meters × 3 models, "
        "enriched, under `make run`'s settings, with the load generator on the same machine. An event is in usage when the "
        "bucket that usage reads has it.\n\n"
        + _table(rows)
        + f"\nProcessor time an event, in µs: {cpu}.\n\n![](benchmarks/ingest_batch.svg)\n"
    )


def _can_access(found: dict[str, Any]) -> str:
    percents = [f"p{percent:g}" for percent in found["percents"]]
    _plot(
        "can_access",
        pygal.Line,
        "One decision: milliseconds as the caller sees it",
        percents,
        {"Aforo": found["ours_ms"], "a bare WSGI hello": found["hello_ms"]},
    )
    rows = [
        ("as the caller sees it, p50 / p95 / p99", _ms(found, "p50_ms", "p95_ms", "p99_ms"), "p99 < 5 ms"),
        ("a bare WSGI hello, p50 / p99", _ms(found, "floor_p50_ms", "floor_p99_ms"), "the floor"),
        ("ratio at p50", f"{found['ratio_p50']}", "≤ 3.5"),
        ("in the server, p50 / p99", _ms(found, "server_p50_ms", "server_p99_ms"), ""),
        ("Django's smallest view, p50", _ms(found, "django_p50_ms"), "a floor"),
        ("the script, asked by the site's client, p50", f"{found['script_us']} µs", ""),
        ("a raw GET on the same socket, p50", f"{found['get_us']} µs", "its floor"),
        ("ratio of the two", f"{found['ratio_script']}", "≤ 3"),
        ("a script that does nothing, on the same socket, p50", f"{found['empty_us']} µs", "a floor"),
        ("requests a second, half of what saturates", f"{found['rate_per_s']:,}", ""),
    ]
    return (
        "## can_access\n\n"
        f"`POST /v1/canAccess` for customers with a hard quota, {found['unknown_percent']} % of them unknown, under "
        "`make run`'s settings (two web processes, publisher and store working), over 32 connections, at half of the rate that saturates it. "
        "Floors are sent the same requests at the same times, in turns of four seconds.\n\n"
        + _table(rows)
        + "\n![](benchmarks/can_access.svg)\n"
    )


def _publishing(found: dict[str, Any]) -> str:
    us = found["compiled_cpu_us"]
    cpu = ", ".join(f"{name} {seconds:g}" for name, seconds in found["cpu_s"].items() if seconds >= 0.01)
    of_30_s = found["cpu_s"]["publisher"] + found["cpu_s"]["postgres"]
    rows = [
        ("customers a second whose records are made and compared", f"{found['compiled_per_s']:,}", "≥ 5,000"),
        ("processor time of one: Python, PostgreSQL", f"{us['load']} µs, {us['postgres']} µs", ""),
        (
            "processor time of publisher and PostgreSQL in 30 s, one repair and five changes a second",
            f"{of_30_s:.1f} s",
            "",
        ),
        (
            "a change's way to the site, p50 / p99, repairs included",
            _ms(found, "change_p50_ms", "change_p99_ms"),
            "< 1 s",
        ),
        ("an empty site filled, everything made for the first time", f"{found['filled_s']:g} s", ""),
        (
            "all usage by one query, as many records by COPY and HSET",
            f"{found['floor_read_s']:g} s, {found['floor_write_s']:g} s",
            "the floor",
        ),
        ("ratio to it of making all records anew", f"{found['ratio_floor']}", ""),
    ]
    return (
        "## publishing\n\n"
        f"{found['customers']:,} customers in four zones with a subscription each on one of three plans, {found['features']} "
        "metered features with hard limits, buckets of 48 hours; one of ten has a limit of its own. The publisher of `make run` "
        f"repairs every 30 s; {found['changes']} limits are edited one after the other meanwhile.\n\n"
        + _table(rows)
        + f"\nProcessor seconds in 30 s: {cpu}.\n"
    )


def _growth(found: dict[str, Any]) -> str:
    events = [f"{count:,}" for count in found["events"]]
    _plot("growth", pygal.Line, "Events a second, by events stored", events, {"stored": found["rate_per_s"]})
    rows = [
        (count, f"{rate:,}", f"{query} ms")
        for count, rate, query in zip(events, found["rate_per_s"], found["query_p50_ms"], strict=True)
    ]
    return (
        "## growth\n\n"
        f"How fast a full log is stored, and how long `GET /v1/usage` takes for one customer's month (p50), as the store "
        f"fills up. At 10 million events the rate is {found['ratio_rate']} of that at 100,000 (promised: ≥ 0.5).\n\n"
        + _table(rows, ("events stored", "events a second", "usage of a month"))
        + "\n![](benchmarks/growth.svg)\n"
    )


def _bill_run(found: dict[str, Any]) -> str:
    cpu = ", ".join(f"{name} {ms:g}" for name, ms in found["cpu_ms"].items() if ms >= 0.1)
    _plot(
        "bill_run",
        pygal.Bar,
        "Seconds of a bill run",
        [f"{found['events']:,} events", f"{10 * found['events']:,} events"],
        {"until all is issued": [found["seconds"], found["seconds_tenfold"]]},
    )
    rows = [
        ("invoices a second, from the start until all are issued", f"{found['rate_per_s']:g}", "≥ 100"),
        ("seconds: drafting, and then issuing", f"{found['drafting_s']:g}, {found['issuing_s']:g}", ""),
        ("the same rows copied, and nothing computed, a second", f"{found['floor_per_s']:,}", "the floor"),
        ("ratio to it", f"{found['ratio_floor']}", ""),
        ("time with ten times the events in the same customer-hours", f"× {found['ratio_tenfold']}", "≤ 1.2"),
    ]
    return (
        "## bill_run\n\n"
        f"{found['subscriptions']:,} subscriptions of three plans with three to five charges, seven of ten taxed, one of ten "
        f"each with a coupon, a contract and a wallet; {found['events']:,} events in 50 hours of each customer. Billed by "
        "`make run`'s two worker processes, beside the store.\n\n"
        + _table(rows)
        + f"\nProcessor time an invoice, in ms: {cpu}.\n\n![](benchmarks/bill_run.svg)\n"
    )


def _bill_run_killed(found: dict[str, Any]) -> str:
    return (
        "## bill_run_killed\n\n"
        f"The same run, {found['subscriptions']:,} subscriptions, under {found['kills']} × kill -9 (workers while they draft and "
        f"while they issue, and beat): {found['seconds_killed']:g} s and not {found['seconds']:g} s. Invoices and numbers "
        f"that differ from the run in peace, or do not recompute: {found['differences']}.\n"
    )


_SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "ingest_single": _single,
    "ingest_batch": _batch,
    "can_access": _can_access,
    "publishing": _publishing,
    "growth": _growth,
    "bill_run": _bill_run,
    "bill_run_killed": _bill_run_killed,
}


def _table(rows: list[tuple[str, ...]], titles: tuple[str, ...] = ("what", "measured", "aim")) -> str:
    lines = [titles, tuple("---" for _ in titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _ms(found: dict[str, Any], *names: str) -> str:
    return " / ".join(f"{found[name]:g}" for name in names) + " ms"


def _plot(name: str, kind: type, title: str, labels: list[str], series: dict[str, list[float]]) -> None:
    chart = kind(
        title=title, style=CleanStyle, js=(), width=720, height=360, show_dots=len(labels) < 20, min_scale=4
    )
    chart.x_labels = labels
    chart.range = (0, max(max(values) for values in series.values()))
    for label, values in series.items():
        chart.add(label, values)
    (PLOTS / f"{name}.svg").write_bytes(chart.render())
