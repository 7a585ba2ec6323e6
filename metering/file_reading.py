"""Files of events, read row by row from any place, never whole: CSV, NDJSON and JSON.

csv      a heading with the names of fields (any alias of them; other columns are properties), then an event a row
ndjson   an event a line
json     a list of events, {"events": [...]}, or one event

A row that cannot be read is a value, and the next one is read on; what ends the file early is a Problem. Where a row
ends does not depend on where reading began, so that a reader that was killed goes on at the last mark.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import msgspec

from aforo.kernel.errors import Problem
from aforo.kernel.texts import is_storable

from .file_rows import FileRow
from .intake.schema import names_at
from .raw_events import Unreadable
from .strict_json import check_shape, read_json

FILE_BYTES_MAX = 50 * 1024 * 1024
ROW_BYTES_MAX = 1024 * 1024
# What is sent into the log at once, whichever is reached first.
CHUNK_ROWS_MAX = 1_000
CHUNK_BYTES_MAX = 2 * 1024 * 1024
_BLOCK_BYTES = 64 * 1024

_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_json = msgspec.json.Encoder(decimal_format="number")


class Mark(NamedTuple):
    """A place between two rows: bytes from the start of the file, and the line there, from 1."""

    offset: int = 0
    line: int = 1


Rows = Iterator[tuple[FileRow, Mark]]


def rows_from(file: BinaryIO, form: str, mark: Mark) -> Rows:
    """The rows behind a mark, each with the mark behind it. form: a key of FORMS.

    Raises Problem, after the rows before it, for what cannot be passed over: field_invalid, body_unreadable.
    """
    return FORMS[form](file, mark)


# Lines ------------------------------------------------------------------------------------------------------


class _Lines:
    """The lines of a file; of one that is too long, only its beginning is held."""

    def __init__(self, file: BinaryIO, mark: Mark) -> None:
        self._file = file
        self.mark = mark
        file.seek(mark.offset)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.next():
            yield line

    def next(self) -> bytes:
        """The next line with its end; b"" behind the last. One of more than ROW_BYTES_MAX is cut off."""
        line = part = self._file.readline(ROW_BYTES_MAX + 1)
        while part and not part.endswith(b"\n"):
            part = self._file.readline(_BLOCK_BYTES)
        if line:
            if self.mark.offset == 0:
                line = line.removeprefix(_BOM)
            self.mark = Mark(self._file.tell(), self.mark.line + 1)
        return line


def _ndjson(file: BinaryIO, mark: Mark) -> Rows:
    lines = _Lines(file, mark)
    for line in lines:
        if line.strip(_SPACE):
            yield FileRow(lines.mark.line - 1, _event(line.strip(_SPACE))), lines.mark


def _event(text: bytes) -> bytes | Unreadable:
    if len(text) > ROW_BYTES_MAX:
        return Unreadable.of(f"has more than {ROW_BYTES_MAX:,} bytes", text)
    try:
        check_shape(text)
        read_json(text)
    except Problem as problem:
        return Unreadable.of(f"is not readable: {problem.detail}", text)
    return text


# CSV --------------------------------------------------------------------------------------------------------


class _TooLong(Exception):
    """A row that goes on for more than ROW_BYTES_MAX, perhaps because a quote was never closed."""


class _CsvRows:
    """Feeds csv.reader with lines, and keeps what the row at hand was made of."""

    def __init__(self, file: BinaryIO, mark: Mark) -> None:
        self._lines = _Lines(file, mark)
        # strict: a quote in the middle of a value is an error and not a guess.
        self._reader = csv.reader(self, strict=True)
        self._length = 0
        self.text = b""

    def __iter__(self) -> _CsvRows:
        return self

    def __next__(self) -> str:
        line = self._lines.next()
        if not line:
            raise StopIteration
        self._length += len(line)
        if len(self.text) < _BLOCK_BYTES:
            self.text += line
        if self._length > ROW_BYTES_MAX:
            raise _TooLong
        # What is no UTF-8 is told by the surrogates it becomes.
        return line.decode(errors="surrogateescape")

    def rows(self) -> Iterator[tuple[int, list[str] | str, Mark]]:
        """Line, values or what is wrong, and the mark behind the row; empty lines are none."""
        while True:
            self._length, self.text, line = 0, b"", self._lines.mark.line
            values: list[str] | str
            try:
                values = next(self._reader)
            except StopIteration:
                return
            except _TooLong:
                values = f"has more than {ROW_BYTES_MAX:,} bytes"
            except csv.Error as error:
                values = f"is no row of CSV: {error}"
            else:
                if not is_storable(values):
                    values = "is not UTF-8, or has the character NUL"
            if values:
                yield line, values, self._lines.mark


def _csv(file: BinaryIO, mark: Mark) -> Rows:
    line, columns, after = next(_CsvRows(file, Mark()).rows(), (1, "is missing", Mark()))
    if isinstance(columns, str):
        raise Problem("field_invalid", f"The heading {columns}.", line=line, errors={"heading": columns})
    columns = [name.strip() for name in columns]
    _heading_check(columns, line)
    names = names_at("upload")
    meanings = [names[name][0] if name in names else "" for name in columns]
    reader = _CsvRows(file, max(mark, after))
    for line, values, behind in reader.rows():
        yield FileRow(line, _csv_event(columns, meanings, values, reader.text)), behind


def _heading_check(columns: list[str], line: int) -> None:
    names = names_at("upload")
    errors = {}
    if len(set(columns)) < len(columns) or "" in columns:
        errors["heading"] = "names a column twice or not at all"
    found = {names[name][0] for name in columns if name in names}
    for field in ("customer_id", "metric"):
        if field not in found:
            errors[field] = "has no column"
    if errors:
        said = "; ".join(f"{name} {what}" for name, what in errors.items())
        raise Problem("field_invalid", f"Line {line}: {said}.", line=line, errors=errors)


def _csv_event(
    columns: list[str], meanings: list[str], values: list[str] | str, text: bytes
) -> bytes | Unreadable:
    if isinstance(values, str):
        return Unreadable.of(values, text)
    if len(values) != len(columns):
        return Unreadable.of(f"has {len(values)} values for {len(columns)} columns", text)
    event: dict[str, Any] = {}
    for name, meaning, value in zip(columns, meanings, values, strict=True):
        # An empty cell was not sent.
        if not value:
            continue
        event[name] = value
        if meaning == "timestamp" and value.isascii() and value.isdigit():
            # Milliseconds since 1970; 18 digits are beyond the year 9999.
            event[name] = int(value[:18])
        elif meaning == "properties":
            try:
                event[name] = _object_of(value)
            except Problem as problem:
                return Unreadable.of(f"has {name} that are no JSON object: {problem.detail}", text)
    return _json.encode(event)


def _object_of(text: str) -> Any:
    content = text.encode()
    check_shape(content)
    return read_json(content)


# JSON -------------------------------------------------------------------------------------------------------

# Strings as a whole, so that what stands inside of them means nothing; a lone quote is a string that goes on.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{},]', re.DOTALL)
_LIST = re.compile(rb'[ \t\r\n]*(?:(\[)|\{[ \t\r\n]*"events"[ \t\r\n]*:[ \t\r\n]*\[)')
_HEAD_BYTES = 4096


def _json_file(file: BinaryIO, mark: Mark) -> Rows:
    head = file.read(_HEAD_BYTES) if file.seek(0) == 0 else b""
    bom = len(_BOM) if head.startswith(_BOM) else 0
    opening = _LIST.match(head, bom)
    if opening is None:
        yield from _one_event(file, mark, bom)
        return
    start = Mark(opening.end(), 1 + head.count(b"\n", 0, opening.end()))
    scan = _Scan(file, max(mark, start))
    yield from scan.items()
    rest = scan.rest()
    if rest.strip(_SPACE) != (b"" if opening[1] else b"}"):
        raise Problem(
            "body_unreadable", f"Line {scan.line}: something stands behind the list.", line=scan.line
        )


def _one_event(file: BinaryIO, mark: Mark, bom: int) -> Rows:
    if mark.offset:
        return
    file.seek(bom)
    text = file.read(ROW_BYTES_MAX + 1)
    event = text.strip(_SPACE)
    if event:
        line = 1 + text.count(b"\n", 0, text.index(event))
        yield FileRow(line, _event(event)), Mark(bom + len(text), line)


class _Scan:
    """Cuts a list into the texts of its items, holding little more than one of them at a time."""

    def __init__(self, file: BinaryIO, mark: Mark) -> None:
        self._file = file
        file.seek(mark.offset)
        self._buffer = b""
        # Of the buffer in the file; and of what was not handed out yet in the buffer.
        self._offset, self._start = mark.offset, 0
        self.line = mark.line

    def items(self) -> Rows:
        """Up to and with the list's closing bracket. Raises Problem("body_unreadable") where there is none."""
        depth = at = 0
        while True:
            token = _TOKEN.search(self._buffer, at)
            if token is None or token[0] == b'"':
                # What is cut off here is looked at again with what follows.
                at = (len(self._buffer) if token is None else token.start()) - self._start
                self._more()
                continue
            kind, at = token[0], token.end()
            if kind in (b"[", b"{"):
                depth += 1
            elif depth:
                depth -= kind in (b"]", b"}")
            elif kind == b"}":
                raise self._broken("a bracket closes what was not opened")
            else:
                text = self._buffer[self._start : token.start()]
                event = text.strip(_SPACE)
                line = self.line + text.count(b"\n", 0, text.index(event))
                # A closing bracket stays where it is: reading may begin again in front of it.
                self._leave(token.end() if kind == b"," else token.start())
                if event or kind == b",":
                    yield FileRow(line, _event(event)), Mark(self._offset + self._start, self.line)
                if kind == b"]":
                    self._leave(token.end())
                    return

    def rest(self) -> bytes:
        """What stands behind the list, as far as it matters whether there is anything."""
        return self._buffer[self._start :] + self._file.read(_BLOCK_BYTES)

    def _leave(self, at: int) -> None:
        self.line += self._buffer.count(b"\n", self._start, at)
        self._start = at

    def _more(self) -> None:
        """Another block behind what was not handed out yet, which then begins the buffer."""
        self._buffer, self._offset, self._start = self._buffer[self._start :], self._offset + self._start, 0
        if len(self._buffer) > ROW_BYTES_MAX:
            raise self._broken(f"an event has more than {ROW_BYTES_MAX:,} bytes")
        block = self._file.read(_BLOCK_BYTES)
        if not block:
            raise self._broken("the list is not closed")
        self._buffer += block

    def _broken(self, what: str) -> Problem:
        return Problem("body_unreadable", f"From line {self.line} on: {what}.", line=self.line)


FORMS: dict[str, Callable[[BinaryIO, Mark], Rows]] = {"csv": _csv, "ndjson": _ndjson, "json": _json_file}
# What a file is, by the ending of its name.
FORM_OF_ENDING = {"csv": "csv", "ndjson": "ndjson", "jsonl": "ndjson", "json": "json"}
