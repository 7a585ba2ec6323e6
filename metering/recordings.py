"""Recorded traffic: the rows of other systems' files as usage events, moved to another time.

llm-csv        TIMESTAMP, ContextTokens, GeneratedTokens: one request to a language model a row
combined-log   an HTTP server's access log in the combined format
ndjson         usage events, one a line, under any of their names (docs/metering/events.md)

Pure: lines in, values out. A line that cannot be read is a value too, never left out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from aforo.kernel.cycles import calendar_cycle
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, instant_text

from .intake.schema import ALIASES
from .intake.timestamp import NoInstant, instant_of
from .strict_json import check_shape, read_json

SOURCE = "replay"
LLM_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
LLM_METRIC = "llm.request"
LOG_METRIC = "api.call"

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LOG_LINE = re.compile(rf"(\S+) \S+ (\S+) \[([^\]]+)\] {_QUOTED} (\d{{3}}) (\d+|-) {_QUOTED} {_QUOTED}")
_LOG_TIME = "%d/%b/%Y:%H:%M:%S %z"


@dataclass(frozen=True, slots=True)
class Row:
    """One readable row.

    line: its place in the file, counted from 1 with any heading. number: the same among rows of data.
    at: an aware instant. event: the usage event without customer, key and timestamp.
    key: its own idempotency key, "" where it has none.
    """

    line: int
    number: int
    at: datetime
    event: dict[str, Any] = field(hash=False)
    key: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that cannot be read; reason: what is wrong, to follow "line 7 "."""

    line: int
    number: int
    reason: str
    text: str


class _Wrong(ValueError):
    """Why a row cannot be read."""


def rows_of(lines: Iterable[str], form: str) -> Iterator[Row | Unreadable]:
    """The rows of a recording, in their order; empty lines are none.

    form: a key of FORMS. Raises Problem("input_invalid") for another one, or where the file's heading is wrong.
    """
    if form not in FORMS:
        raise Problem("input_invalid", f"{form!r} is no format; there are {', '.join(FORMS)}.")
    yield from FORMS[form](lines)


def _llm_csv(lines: Iterable[str]) -> Iterator[Row | Unreadable]:
    numbered = _numbered(lines)
    _, heading = next(numbered, (1, ""))
    columns = [name.strip() for name in next(csv.reader([heading.lstrip("\ufeff")]), [])]
    if missing := [name for name in LLM_COLUMNS if name not in columns]:
        raise Problem(
            "input_invalid", f"Line 1 has no column {', '.join(missing)}; it has {', '.join(columns)}."
        )

    def read(text: str) -> tuple[datetime, dict[str, Any], str]:
        values = next(csv.reader([text]))
        if len(values) != len(columns):
            raise _Wrong(f"has {len(values)} values for {len(columns)} columns")
        row = dict(zip(columns, values, strict=True))
        at = row["TIMESTAMP"].strip()
        # The trace writes UTC without saying so.
        at = at if re.search(r"(Z|[+-]\d\d:\d\d)$", at) else f"{at}Z"
        tokens = {
            "input_tokens": _whole(row, "ContextTokens"),
            "output_tokens": _whole(row, "GeneratedTokens"),
        }
        return _instant(at), {"metric": LLM_METRIC, "quantity": 1, "properties": tokens}, ""

    yield from _rows(numbered, read)


def _combined_log(lines: Iterable[str]) -> Iterator[Row | Unreadable]:
    def read(text: str) -> tuple[datetime, dict[str, Any], str]:
        found = _LOG_LINE.fullmatch(text.rstrip())
        if found is None:
            raise _Wrong("is not in the combined log format")
        address, user, time, request, status, length, referrer, agent = found.groups()
        try:
            at = datetime.strptime(time, _LOG_TIME).astimezone(UTC)
        except ValueError:
            raise _Wrong(f"has {time!r} for a time; it is written like 17/May/2015:10:05:03 +0000") from None
        method, _, rest = request.partition(" ")
        path, _, protocol = rest.rpartition(" ")
        properties: dict[str, Any] = {"address": address, "status": int(status)}
        properties |= {"method": method, "path": path, "protocol": protocol} if path else {"request": request}
        texts = {"user": user, "referrer": referrer, "agent": agent}
        properties |= {name: text for name, text in texts.items() if text != "-"}
        if length != "-":
            properties["response_bytes"] = int(length)
        return at, {"metric": LOG_METRIC, "quantity": 1, "properties": properties}, ""

    yield from _rows(_numbered(lines), read)


def _ndjson(lines: Iterable[str]) -> Iterator[Row | Unreadable]:
    def read(text: str) -> tuple[datetime, dict[str, Any], str]:
        body = text.encode()
        try:
            check_shape(body)
            event = read_json(body)
        except Problem as problem:
            raise _Wrong(f"is not one JSON object: {problem.detail}") from None
        if not isinstance(event, dict):
            raise _Wrong("is not one JSON object")
        at, key = _taken(event, "timestamp"), _taken(event, "idempotency_key")
        _taken(event, "customer_id")
        if at is None:
            raise _Wrong("has no timestamp")
        return _instant(at), event, key if isinstance(key, str) else ""

    yield from _rows(_numbered(lines), read)


FORMS: dict[str, Callable[[Iterable[str]], Iterator[Row | Unreadable]]] = {
    "llm-csv": _llm_csv,
    "combined-log": _combined_log,
    "ndjson": _ndjson,
}


def _numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((line, text) for line, text in enumerate(lines, start=1) if text.strip())


def _rows(
    numbered: Iterable[tuple[int, str]], read: Callable[[str], tuple[datetime, dict[str, Any], str]]
) -> Iterator[Row | Unreadable]:
    for number, (line, text) in enumerate(numbered, start=1):
        try:
            at, event, key = read(text)
        except (_Wrong, csv.Error) as wrong:
            yield Unreadable(line, number, str(wrong), text.rstrip("\r\n"))
        else:
            yield Row(line, number, at, event, key)


def _whole(row: dict[str, str], column: str) -> int:
    text = row[column].strip()
    if not (text.isascii() and text.isdigit()):
        raise _Wrong(f"has {text!r} for {column}, not a whole number")
    return int(text)


def _instant(value: Any) -> datetime:
    try:
        return instant_of(value)
    except NoInstant as error:
        raise _Wrong(f"has a timestamp that {error}") from None


def _taken(event: dict[str, Any], name: str) -> Any:
    """Take a field out of an event, under whichever of its names; the first that has a value counts."""
    values = [event.pop(alias, None) for alias in ALIASES[name]]
    return next((value for value in values if value is not None), None)


class Move:
    """Where a row's time goes: all rows keep their distance from the first, inside a month if one is given.

    first: the recording's first instant. into: the month that holds every row, in the customer's zone.
    at: where the first row goes; by default as far into the month as it was in its own.

    A recording of 2023-11-16T18:15Z … 19:14Z moved into 2026-10 in UTC lies at 2026-10-16T18:15Z … 19:14Z.
    """

    def __init__(self, first: datetime, *, into: Period | None, at: datetime | None, zone: ZoneInfo) -> None:
        self.into = into
        if at is None and into is not None:
            own = calendar_cycle("month", first.astimezone(zone).date(), zone).period(0)
            at = into.start + (first - own.start)
        self.shift = (at or first) - first

    def __call__(self, instant: datetime) -> datetime:
        """The moved instant; what would pass the month's end goes on at its start, so that no row leaves it."""
        moved = instant + self.shift
        if self.into is not None:
            moved = self.into.start + (moved - self.into.start) % (self.into.end - self.into.start)
        return moved


def event_of(row: Row, *, key: str, customer: str, at: datetime) -> dict[str, Any]:
    """What is sent for a row: the same for the same row, always, so that a second replay counts nothing twice."""
    return {
        "source": SOURCE,
        **row.event,
        "idempotency_key": key,
        "customer_id": customer,
        "timestamp": instant_text(at),
    }


def unreadable_event_of(row: Unreadable, *, key: str, customer: str) -> dict[str, Any]:
    """What is sent for a row that cannot be read: no intake can take its time, so it becomes a dead letter."""
    return {
        "source": SOURCE,
        "idempotency_key": key,
        "customer_id": customer,
        # No meter's: what is missing or unknown would be said instead of what is wrong.
        "metric": "unreadable",
        "timestamp": f"line {row.line} {row.reason}",
        "text": row.text,
    }
