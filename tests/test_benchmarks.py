"""The benchmarks say what they are, and their page says what was measured, without running."""

from __future__ import annotations

import pytest

from benchmarks import load, report
from benchmarks.__main__ import USUAL, main
from benchmarks.one import BENCHMARKS

MACHINE = {
    "cores": 2,
    "fdatasync_p95_ms": 0.2,
    "load_average_before": 0.1,
    "python": "3.11.7",
    "postgresql": "18.6",
    "date": "2026-11-27",
}
GROWTH = {
    "ratio_rate": 0.71,
    "events": [100_000, 10_000_000],
    "rate_per_s": [30_000, 21_300],
    "query_p50_ms": [2.1, 2.2],
}
BILL_RUN = {
    "rate_per_s": 104.2,
    "subscriptions": 10_000,
    "events": 1_000_000,
    "seconds": 96.0,
    "drafting_s": 66.0,
    "issuing_s": 30.0,
    "floor_per_s": 3298,
    "ratio_floor": 0.032,
    "seconds_tenfold": 99.8,
    "ratio_tenfold": 1.04,
    "cpu_ms": {"worker": 8.0, "beat": 0.01},
}
CAN_ACCESS = {
    "p50_ms": 0.9,
    "p95_ms": 1.9,
    "p99_ms": 3.2,
    "server_p50_ms": 0.4,
    "server_p99_ms": 1.1,
    "rate_per_s": 1_086,
    "floor_p50_ms": 0.3,
    "floor_p99_ms": 1.2,
    "ratio_p50": 3.0,
    "django_p50_ms": 0.5,
    "script_us": 155,
    "get_us": 73,
    "empty_us": 80,
    "ratio_script": 2.12,
    "unknown_percent": 5,
    "percents": [50, 99],
    "ours_ms": [0.9, 3.2],
    "hello_ms": [0.3, 1.2],
}
PUBLISHING = {
    "customers": 20_000,
    "features": 2,
    "filled_s": 12.0,
    "compiled_per_s": 5_200,
    "compiled_cpu_us": {"load": 120, "postgres": 70},
    "cpu_s": {"postgres": 1.5, "publisher": 3.1, "web": 0.0},
    "changes": 290,
    "change_p50_ms": 160,
    "change_p99_ms": 410,
    "floor_read_s": 0.5,
    "floor_write_s": 1.0,
    "ratio_floor": 2.56,
}


def test_an_unknown_benchmark_is_named_with_those_there_are(capsys):
    assert main(["nope"]) == 2
    assert capsys.readouterr().err == f"No benchmark nope; there are: {', '.join(BENCHMARKS)}.\n"
    assert set(USUAL) < BENCHMARKS.keys()


def test_the_page_has_what_was_measured_and_a_plot_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "DOCS", tmp_path)
    monkeypatch.setattr(report, "PLOTS", tmp_path / "benchmarks")

    report.write({"machine": MACHINE, "growth": GROWTH})

    page = (tmp_path / "benchmarks.md").read_text()
    assert "| 10,000,000 | 21,300 | 2.2 ms |" in page
    assert "0.71 of that at 100,000" in page
    assert "## ingest_single" not in page
    plot = (tmp_path / "benchmarks" / "growth.svg").read_text()
    assert "10,000,000" in plot
    # A page of the documentation fetches nothing.
    assert "http://www.w3.org/" in plot
    assert "src=" not in plot
    assert 'xlink:href="http' not in plot


def test_requests_are_due_at_random_times_that_keep_their_rate_and_repeat():
    due_s = load._due_times(10.0, 500.0)
    assert due_s == load._due_times(10.0, 500.0) == sorted(due_s)
    # 5,000 expected; four standard deviations are 283.
    assert len(due_s) == pytest.approx(5_000, abs=283)
    assert due_s[0] > 0
    assert due_s[-1] < 10.0


def test_the_percentile_is_one_of_the_values():
    assert load.percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.0
    assert load.percentile([1.0, 2.0, 3.0, 4.0], 99) == 4.0
    assert load.percentile([], 99) == 0.0


def test_runs_in_turns_count_as_one():
    # Two and one answers in 2 s and 1 s: one a second, and the middle one of all three.
    one = load.together([load.Result([0.1, 0.3], {200: 2}, 2.0), load.Result([0.2], {200: 1}, 1.0)])
    assert (one.rate_per_s, one.percentile_ms(50), one.statuses) == (1.0, 200.0, {200: 3})


def test_the_page_says_how_fast_a_month_is_billed(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "DOCS", tmp_path)
    monkeypatch.setattr(report, "PLOTS", tmp_path / "benchmarks")

    report.write({"machine": MACHINE, "bill_run": BILL_RUN})

    page = (tmp_path / "benchmarks.md").read_text()
    assert "| invoices a second, from the start until all are issued | 104.2 | ≥ 100 |" in page
    assert "| × 1.04 | ≤ 1.2 |" in page
    assert "in ms: worker 8." in page
    assert "10,000,000 events" in (tmp_path / "benchmarks" / "bill_run.svg").read_text()


def test_the_page_says_how_long_a_decision_takes_beside_a_bare_hello(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "DOCS", tmp_path)
    monkeypatch.setattr(report, "PLOTS", tmp_path / "benchmarks")

    report.write({"machine": MACHINE, "can_access": CAN_ACCESS})

    page = (tmp_path / "benchmarks.md").read_text()
    assert "| as the caller sees it, p50 / p95 / p99 | 0.9 / 1.9 / 3.2 ms | p99 < 5 ms |" in page
    assert "| ratio at p50 | 3.0 | ≤ 3.5 |" in page
    assert "| ratio of the two | 2.12 | ≤ 3 |" in page
    assert "| a script that does nothing, on the same socket, p50 | 80 µs | a floor |" in page
    assert "a bare WSGI hello" in (tmp_path / "benchmarks" / "can_access.svg").read_text()


def test_the_page_says_what_publishing_costs_and_how_long_a_change_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "DOCS", tmp_path)
    monkeypatch.setattr(report, "PLOTS", tmp_path / "benchmarks")

    report.write({"machine": MACHINE, "publishing": PUBLISHING})

    page = (tmp_path / "benchmarks.md").read_text()
    assert "| customers a second whose records are made and compared | 5,200 | ≥ 5,000 |" in page
    # 3.1 and 1.5 of 30 s.
    assert "| 4.6 s |" in page
    assert "| 160 / 410 ms | < 1 s |" in page
