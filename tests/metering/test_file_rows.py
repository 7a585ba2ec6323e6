"""Rows of a file on their way through the log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.errors import Problem
from metering.file_rows import FileRow, row_pack, rows_unpack
from metering.raw_events import Unreadable

from .builders import verdicts


def rows_pack(rows: list[FileRow]) -> bytes:
    return b"".join(map(row_pack, rows))


def test_rows_come_back_with_their_lines() -> None:
    rows = [
        FileRow(2, b'{"metric": "api.call"}'),
        FileRow(5, Unreadable("has 2 values for 3 columns", 'a,"b\n')),
        FileRow(7, b'{\r\n  "metric":\n"x"\n}'),
    ]
    events = rows_unpack(rows_pack(rows))
    assert events == [{"metric": "api.call"}, rows[1].event, {"metric": "x"}]
    assert events.lines == [2, 5, 7]


@given(st.lists(st.tuples(st.integers(1, 10**9), st.text(), st.text())))
def test_any_text_that_could_not_be_read_comes_back(wrong: list[tuple[int, str, str]]) -> None:
    rows = [FileRow(line, Unreadable(reason, text)) for line, reason, text in wrong]
    assert rows_unpack(rows_pack(rows)) == [row.event for row in rows]


@pytest.mark.parametrize("body", [b"x", b"\t{}", b"1\t{", b"{}", b"1 {}"])
def test_any_other_body_is_refused(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        rows_unpack(body)
    assert caught.value.code == "body_unreadable"


def test_a_refusal_says_its_line_and_a_key_is_made_of_it() -> None:
    good = b'{"metric":"api.call","customer_id":"cust_abc"}'
    rows = [
        FileRow(2, good),
        FileRow(9, b'{"metric":"api.call","customer_id":"cust_x"}'),
        FileRow(12, Unreadable("is not JSON", "x")),
    ]
    first, second, third = verdicts(rows_pack(rows), door="upload", idempotency_header="upload_ab12")
    assert first.event.idempotency_key == "upload_ab12:2"
    assert second.refusal.detail == "Line 9: There is no customer 'cust_x'."
    assert second.refusal.facts["line"] == 9
    assert second.idempotency_key == "upload_ab12:9"
    assert (third.refusal.detail, third.payload) == ("Line 12: event is not JSON.", "x")


def test_a_row_may_be_as_deep_as_any_event() -> None:
    deep = b'{"metric":"api.call","customer_id":"cust_abc","d":%b}' % (b"[" * 31 + b"]" * 31)
    assert verdicts(rows_pack([FileRow(1, deep)] * 2), door="upload", idempotency_header="u")[1].event
