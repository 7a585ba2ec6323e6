"""Files of events, read row by row from any place."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.errors import Problem
from metering.file_reading import FORMS, ROW_BYTES_MAX, Mark, rows_from
from metering.raw_events import Unreadable
from metering.strict_json import read_json

START = Mark()


class _Scattered(io.BytesIO):
    """Hands out a few bytes at a time, so that every row is cut somewhere."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size if size is None or size < 0 or size > 4000 else min(size, 4000))


def read(content: bytes, form: str, mark: Mark = START) -> list[tuple[int, Any]]:
    """Line and event of each row; of one that cannot be read, its reason."""
    return [
        (row.line, row.event.reason if isinstance(row.event, Unreadable) else read_json(row.event))
        for row, _ in rows_from(io.BytesIO(content), form, mark)
    ]


def problem_of(content: bytes, form: str) -> tuple[int, Problem]:
    """How many rows were read before the file ended early, and why it did."""
    rows = []
    with pytest.raises(Problem) as caught:
        rows.extend(iter_into(rows, content, form))
    return len(rows), caught.value


def iter_into(rows: list[Any], content: bytes, form: str) -> list[Any]:
    for row in rows_from(io.BytesIO(content), form, START):
        rows.append(row)
    return []


ONE, TWO = {"metric": "api.call", "customer_id": "a"}, {"metric": "x", "note": 'a "quote", [and] {more}\\'}


@pytest.mark.parametrize(
    "content",
    [
        b"[%b,%b]",
        b"\xef\xbb\xbf [\n%b\n,\n%b\n]\n\n",
        b'{"events":[%b,%b]}',
        b' { "events" : [ %b , %b ] } ',
        b"[%b,%b,]",
    ],
)
def test_a_list_is_cut_into_its_items(content: bytes) -> None:
    body = content % (json.dumps(ONE, indent=2).encode(), json.dumps(TWO).encode())
    assert [event for _, event in read(body, "json")] == [ONE, TWO]


def test_lines_of_a_list_are_those_on_which_its_items_begin() -> None:
    content = b'[\n  {"id":\n "a"},\n\n  7,\n  {"id": "b", "deep": [[1], {"x": [2, 3]}]}\n]'
    assert read(content, "json") == [
        (2, {"id": "a"}),
        (5, 7),
        (6, {"id": "b", "deep": [[1], {"x": [2, 3]}]}),
    ]


def test_one_event_is_a_file_too() -> None:
    assert read(b'\n {"metric": "api.call"}\n', "json") == [(2, {"metric": "api.call"})]
    assert read(b'{"events": 7}', "json") == [(1, {"events": 7})]
    for nothing in (b"", b"  \n", b"[]", b" [ ] ", b'{"events":[]}'):
        assert read(nothing, "json") == []


def test_an_item_that_is_no_json_is_passed_over() -> None:
    rows = read(b'[{"a":1}, {"a":1,"a":2}, tru, {"a":NaN}, , {"a":[}], {"b":2}]', "json")
    events = [event if isinstance(event, dict) else event.partition(":")[0] for _, event in rows]
    assert events == [{"a": 1}, *["is not readable"] * 5, {"b": 2}]


@pytest.mark.parametrize(
    ("content", "rows", "sentence"),
    [
        (b"[", 0, "From line 1 on: the list is not closed."),
        (b'[{"a":1},\n{"a":', 1, "From line 1 on: the list is not closed."),
        (b'[{"a":1},\n"a', 1, "From line 1 on: the list is not closed."),
        (b'[{"a":1}}', 0, "From line 1 on: a bracket closes what was not opened."),
        (b'[{"a":1}]\n{"b":2}', 1, "Line 1: something stands behind the list."),
        (b'{"events":[{"a":1}],"more":1}', 1, "Line 1: something stands behind the list."),
        (
            b'["%b"]' % (b"x" * (2 * ROW_BYTES_MAX)),
            0,
            "From line 1 on: an event has more than 1,048,576 bytes.",
        ),
    ],
)
def test_a_list_that_breaks_off_says_where(content: bytes, rows: int, sentence: str) -> None:
    count, problem = problem_of(content, "json")
    assert (count, problem.code, problem.detail) == (rows, "body_unreadable", sentence)


def test_lines_of_json() -> None:
    content = b'\xef\xbb\xbf{"id":"a"}\r\n\n  \n{"id":\n[1]\n{"id":"b"}'
    rows = read(content, "ndjson")
    assert rows[0] == (1, {"id": "a"})
    assert rows[1][0] == 4
    assert rows[1][1].startswith("is not readable: The body is not valid JSON")
    assert rows[2:] == [(5, [1]), (6, {"id": "b"})]


def test_a_line_that_is_too_long_is_passed_over_and_not_held() -> None:
    content = b'{"id":"a"}\n"%b"\n{"id":"b"}\n' % (b"x" * (10 * ROW_BYTES_MAX))
    file = io.BytesIO(content)
    tracemalloc.start()
    rows = [row for row, _ in rows_from(file, "ndjson", Mark())]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.line for row in rows] == [1, 2, 3]
    assert rows[1].event.reason == "has more than 1,048,576 bytes"
    assert len(rows[1].event.text) == 64 * 1024
    assert peak < 5 * ROW_BYTES_MAX


HEADING = b"idempotencyKey,customerId,metric,quantity,occurredAt,model,metadata\n"


def test_a_row_of_csv_is_an_event_under_the_headings_names() -> None:
    rows = (
        b"k1,cust_abc,api.call,1.50,2026-03-15T11:59:00Z,gpt-4o,\n"
        b'k2,cust_abc,api.call,2,1773575940000,"a ""b"",\nc","{""region"": ""eu"", ""n"": 0.10}"\r\n'
        b",cust_abc,api.call,,,,\n"
    )
    assert read(b"\xef\xbb\xbf\n" + HEADING + b"\n" + rows, "csv") == [
        (
            4,
            {
                "idempotencyKey": "k1",
                "customerId": "cust_abc",
                "metric": "api.call",
                "quantity": "1.50",
                "occurredAt": "2026-03-15T11:59:00Z",
                "model": "gpt-4o",
            },
        ),
        (
            5,
            {
                "idempotencyKey": "k2",
                "customerId": "cust_abc",
                "metric": "api.call",
                "quantity": "2",
                "occurredAt": 1773575940000,
                "model": 'a "b",\nc',
                "metadata": read_json(b'{"region":"eu","n":0.1}'),
            },
        ),
        (7, {"customerId": "cust_abc", "metric": "api.call"}),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"k1,cust_abc", "has 2 values for 7 columns"),
        (b"1,2,3,4,5,6,7,8", "has 8 values for 7 columns"),
        (b'k1,"a"b,api.call,1,,,', "is no row of CSV: ',' expected after '\"'"),
        (b"k1,\xff,api.call,1,,,", "is not UTF-8, or has the character NUL"),
        (b"k1,a\x00,api.call,1,,,", "is not UTF-8, or has the character NUL"),
        (
            b"k1,a,api.call,1,,,%b" % (b"x" * 200_000),
            "is no row of CSV: field larger than field limit (131072)",
        ),
        (b"k1,a,api.call,1,,,{}%b" % (b"," * 2 * ROW_BYTES_MAX), "has more than 1,048,576 bytes"),
        (
            b"k1,a,api.call,1,,,nothing",
            "has metadata that are no JSON object: The body is not valid JSON: Expecting value (line 1, column 1).",
        ),
    ],
)
def test_a_row_that_is_wrong_is_passed_over(row: bytes, reason: str) -> None:
    good = b"k2,cust_abc,api.call,1,,,\n"
    assert [(line, event) for line, event in read(HEADING + row + b"\n" + good, "csv")] == [
        (2, reason),
        (3, {"idempotencyKey": "k2", "customerId": "cust_abc", "metric": "api.call", "quantity": "1"}),
    ]


def test_a_quote_that_is_never_closed_does_not_swallow_the_file() -> None:
    content = HEADING + b'k0,"cust_abc,api.call,1,,,\n' + b"k1,cust_abc,api.call,1,,,\n" * 20_000
    rows = read(content, "csv")
    # Given up after 131,072 characters of one value, which are 5,000 rows; the rest is read.
    assert rows[0][1] == "is no row of CSV: field larger than field limit (131072)"
    assert len(rows) > 14_000
    assert rows[-1][0] == 20_002


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The heading is missing."),
        (b"metric\n", "Line 1: customer_id has no column."),
        (b"a,b\n", "Line 1: customer_id has no column; metric has no column."),
        (b"metric,customer_id,metric\n", "Line 1: heading names a column twice or not at all."),
        (b"metric,customer_id,\n", "Line 1: heading names a column twice or not at all."),
        (b"metric,\xff\n", "The heading is not UTF-8, or has the character NUL."),
    ],
)
def test_a_heading_says_whose_usage_of_what(content: bytes, sentence: str) -> None:
    count, problem = problem_of(content, "csv")
    assert (count, problem.code, problem.detail) == (0, "field_invalid", sentence)


EVENTS = [{"id": f"k{n}", "metric": "m", "customer_id": "c", "note": 'x\n",[' * (n % 7)} for n in range(200)]


def file_of(form: str) -> bytes:
    if form == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, EVENTS[0].keys())
        writer.writeheader()
        writer.writerows(EVENTS)
        return text.getvalue().encode()
    if form == "ndjson":
        return b"".join(json.dumps(event).encode() + b"\n" for event in EVENTS)
    return json.dumps({"events": EVENTS}, indent=1).encode()


@pytest.mark.parametrize("form", FORMS)
def test_reading_goes_on_at_any_mark_with_the_same_rows(form: str) -> None:
    content = file_of(form)
    rows = list(rows_from(io.BytesIO(content), form, Mark()))
    assert len(rows) == 200
    for place in (0, 1, 57, 198, 199):
        assert list(rows_from(io.BytesIO(content), form, rows[place][1])) == rows[place + 1 :]


@pytest.mark.parametrize("form", FORMS)
def test_where_a_read_of_the_file_ends_does_not_matter(form: str) -> None:
    content = file_of(form)
    whole = list(rows_from(io.BytesIO(content), form, Mark()))
    assert list(rows_from(_Scattered(content), form, Mark())) == whole


@given(
    st.sampled_from(sorted(FORMS)),
    st.binary(max_size=200) | st.text('[]{},"\\ ab1\n', max_size=60).map(str.encode),
)
def test_any_file_is_read_or_refused(form: str, content: bytes) -> None:
    content = HEADING + content if form == "csv" else content
    try:
        rows = list(rows_from(io.BytesIO(content), form, Mark()))
    except Problem:
        return
    for place, (_, mark) in enumerate(rows):
        assert list(rows_from(io.BytesIO(content), form, mark)) == rows[place + 1 :]


@pytest.mark.parametrize("form", FORMS)
def test_memory_does_not_grow_with_the_file(form: str) -> None:
    small = file_of(form)
    if form == "json":
        content = b"[" + b",".join([json.dumps(EVENTS)[1:-1].encode()] * 40) + b"]"
    elif form == "csv":
        content = small + small.partition(b"\n")[2] * 39
    else:
        content = small * 40
    file = io.BytesIO(content)
    tracemalloc.start()
    count = sum(1 for _ in rows_from(file, form, Mark()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 8_000
    assert peak < 1024 * 1024
