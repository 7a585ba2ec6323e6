"""Recorded files become the same events every time, moved into the wanted month."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.errors import Problem
from aforo.kernel.periods import calendar_month, instant_text
from metering.recordings import Move, Row, Unreadable, event_of, rows_of, unreadable_event_of

UTC_ZONE = ZoneInfo("UTC")
LLM = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
""".splitlines(keepends=True)
LOG_LINE = (
    '83.149.9.216 - frank [17/May/2015:10:05:03 +0200] "GET /a b.png HTTP/1.1" 200 203023 '
    r'"http://example.com/" "Mozilla/5.0 \"quoted\" (X11)"'
)


def rows(lines, form):
    return list(rows_of(lines, form))


def test_a_row_of_the_llm_trace_is_one_request_with_its_tokens():
    first, second = rows(LLM, "llm-csv")
    # The trace has 100 ns digits; what is finer than a microsecond is cut off.
    assert instant_text(first.at) == "2023-11-16T18:15:46.680590Z"
    assert first.event == {
        "metric": "llm.request",
        "quantity": 1,
        "properties": {"input_tokens": 374, "output_tokens": 44},
    }
    assert (second.line, second.number) == (3, 2)


def test_a_line_of_an_access_log_is_one_call_with_what_it_says():
    (row,) = rows([LOG_LINE], "combined-log")
    assert instant_text(row.at) == "2015-05-17T08:05:03Z"
    assert row.event["metric"] == "api.call"
    assert row.event["properties"] == {
        "address": "83.149.9.216",
        "status": 200,
        "method": "GET",
        "path": "/a b.png",
        "protocol": "HTTP/1.1",
        "user": "frank",
        "referrer": "http://example.com/",
        "agent": r"Mozilla/5.0 \"quoted\" (X11)",
        "response_bytes": 203023,
    }


def test_a_request_that_is_none_and_a_missing_length_are_kept_as_they_are():
    (row,) = rows(['::1 - - [17/May/2015:10:05:03 +0000] "\\x16\\x03" 400 - "-" "-"'], "combined-log")
    assert row.event["properties"] == {"address": "::1", "status": 400, "request": r"\x16\x03"}


def test_an_event_a_line_keeps_its_names_numbers_and_key():
    line = '{"event": "api.call", "occurredAt": "2026-03-01T00:00:00Z", "id": "k", "tokens": 0.1, "customerId": "x"}'
    (row,) = rows([line], "ndjson")
    assert (row.key, row.event) == ("k", {"event": "api.call", "tokens": Decimal("0.1")})
    assert instant_text(row.at) == "2026-03-01T00:00:00Z"


@pytest.mark.parametrize(
    ("form", "lines", "reason"),
    [
        ("llm-csv", [*LLM, "2023-11-16 18:15:46,1\n"], "has 2 values for 3 columns"),
        ("llm-csv", [*LLM, "2023-11-16 18:15:46,-1,2\n"], "has '-1' for ContextTokens, not a whole number"),
        ("llm-csv", [*LLM, "yesterday,1,2\n"], "has a timestamp that 'yesterdayZ' is no RFC 3339 instant"),
        ("combined-log", ["\n", "\n", LOG_LINE[:-1]], "is not in the combined log format"),
        (
            "combined-log",
            ["", "", LOG_LINE.replace("May", "Mai")],
            "has '17/Mai/2015:10:05:03 +0200' for a time",
        ),
        ("ndjson", ["", "", "[1]"], "is not one JSON object"),
        ("ndjson", ["", "", '{"a": 1, "a": 2}'], "is not one JSON object: The body is ambiguous"),
        ("ndjson", ["", "", '{"metric": "api.call"}'], "has no timestamp"),
        (
            "ndjson",
            ["", "", '{"time": "2026-03-01T00:00:00"}'],
            "has a timestamp that '2026-03-01T00:00:00' has no zone",
        ),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_kept(form, lines, reason):
    lines = lines if form != "llm-csv" else [lines[0], "\n", *lines[3:]]
    (row,) = rows(lines, form)
    assert isinstance(row, Unreadable)
    assert (row.line, row.text) == (3, lines[-1].rstrip())
    assert row.reason.startswith(reason)


def test_a_file_of_another_kind_is_refused_at_its_heading():
    with pytest.raises(
        Problem, match="Line 1 has no column ContextTokens, GeneratedTokens; it has TIMESTAMP"
    ):
        rows(["TIMESTAMP,Tokens\n"], "llm-csv")
    with pytest.raises(Problem, match="'xml' is no format; there are llm-csv, combined-log, ndjson"):
        rows([], "xml")


def move(first: str, into: str | None, at: str | None = None, zone: str = "UTC") -> Move:
    month = calendar_month(into, ZoneInfo(zone)) if into else None
    return Move(instant(first), into=month, at=instant(at) if at else None, zone=ZoneInfo(zone))


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_rows_keep_day_and_distance_in_another_month():
    moved = move("2023-11-16T18:15:46Z", into="2026-10")
    assert instant_text(moved(instant("2023-11-16T18:15:46Z"))) == "2026-10-16T18:15:46Z"
    assert instant_text(moved(instant("2023-11-16T19:14:08Z"))) == "2026-10-16T19:14:08Z"


def test_a_month_is_the_customers():
    # March 2026 in Asia/Kolkata begins at 2026-02-28T18:30Z; 18:15 there is 12:45Z.
    moved = move("2023-11-16T18:15:00+05:30", into="2026-03", zone="Asia/Kolkata")
    assert instant_text(moved(instant("2023-11-16T18:15:00+05:30"))) == "2026-03-16T12:45:00Z"


def test_the_first_row_goes_where_it_is_told():
    moved = move("2023-11-16T18:15:00Z", into=None, at="2026-03-01T00:00:00Z")
    assert instant_text(moved(instant("2023-11-16T19:15:00Z"))) == "2026-03-01T01:00:00Z"
    assert (
        instant_text(move("2023-11-16T18:15:00Z", None)(instant("2023-11-16T19:15:00Z")))
        == "2023-11-16T19:15:00Z"
    )


def test_what_would_pass_the_months_end_goes_on_at_its_start():
    # The 31st has no place in February: three days behind the 28th, it is the 3rd.
    moved = move("2026-01-31T12:00:00Z", into="2026-02")
    assert instant_text(moved(instant("2026-01-31T12:00:00Z"))) == "2026-02-03T12:00:00Z"


@given(
    first=st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    later_s=st.integers(-(10**7), 10**8),
    month=st.integers(1, 12),
    zone=st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"]),
)
def test_every_row_lands_in_the_month(first, later_s, month, zone):
    period = calendar_month(f"2026-{month:02}", ZoneInfo(zone))
    moved = Move(first, into=period, at=None, zone=ZoneInfo(zone))
    at = datetime.fromtimestamp(first.timestamp() + later_s, UTC)
    assert moved(at) in period


def test_the_same_row_is_the_same_event_always():
    row = Row(2, 1, instant("2023-11-16T18:15:46.680590Z"), {"metric": "llm.request", "quantity": 1})
    at = move("2023-11-16T18:15:46.680590Z", into="2026-10")(row.at)
    assert event_of(row, key="azure-conv-2023:1", customer="cust_abc", at=at) == {
        "idempotency_key": "azure-conv-2023:1",
        "customer_id": "cust_abc",
        "metric": "llm.request",
        "quantity": 1,
        "timestamp": "2026-10-16T18:15:46.680590Z",
        "source": "replay",
    }


def test_an_unreadable_row_is_sent_so_that_it_is_refused_and_kept():
    row = Unreadable(899, 899, "is not in the combined log format", "gar bage")
    sent = unreadable_event_of(row, key="p:899", customer="c")
    assert sent["timestamp"] == "line 899 is not in the combined log format"
    assert sent["text"] == "gar bage"
