"""Files of archived events: Parquet, one a tenant and month, exact to the last digit; no database in sight."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pyarrow
import pyarrow.parquet

GROUP_ROWS = 50_000
MANIFEST = "manifest.json"

# Numbers and properties as text, which keeps every digit; customer, metric and source so that a file can be read alone.
SCHEMA = pyarrow.schema(
    [
        ("occurred_at", pyarrow.timestamp("us", "UTC")),
        ("received_at", pyarrow.timestamp("us", "UTC")),
        ("identity", pyarrow.binary(16)),
        ("context_id", pyarrow.int32()),
        ("is_late", pyarrow.bool_()),
        ("quantity", pyarrow.string()),
        ("key", pyarrow.string()),
        ("properties", pyarrow.string()),
        ("customer", pyarrow.string()),
        ("metric", pyarrow.string()),
        ("source", pyarrow.string()),
    ]
)


class ArchivedEvent(NamedTuple):
    """A row of metering_event, and what its context says. properties: JSON text."""

    occurred_at: datetime
    received_at: datetime
    identity: UUID
    context_id: int
    is_late: bool
    quantity: str
    key: str
    properties: str
    customer: str
    metric: str
    source: str


class Written(NamedTuple):
    """path: of the file. rows: how many. sha256: of its bytes, in hexadecimal."""

    path: Path
    rows: int
    sha256: str


class ArchiveDamaged(Exception):
    """A file is not there, or not what was written; the message is a sentence."""


def events_write(path: Path, events: Iterable[ArchivedEvent]) -> Written:
    """Write events into a file that is either whole or not there, on disk when this returns, and read it back.

    Raises ArchiveDamaged where what is read is not what was given, OSError where the disk refuses.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    content = _Content()
    with pyarrow.parquet.ParquetWriter(draft, SCHEMA, compression="zstd") as writer:
        for group in _groups(content.of(events)):
            columns = [[_cell(cell) for cell in column] for column in zip(*group, strict=True)]
            writer.write_table(pyarrow.table(columns, schema=SCHEMA))
    _sync(draft)
    draft.replace(path)
    _sync(path.parent)
    read = _Content()
    for _ in read.of(events_read(path)):
        pass
    if (read.rows, read.digest.digest()) != (content.rows, content.digest.digest()):
        raise ArchiveDamaged(f"{path} does not read back as it was written; nothing was removed.")
    return Written(path, content.rows, file_sha256(path))


def events_read(path: Path) -> Iterator[ArchivedEvent]:
    """The events of a file, in the order they were written."""
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(GROUP_ROWS):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                event = ArchivedEvent(*row)
                yield event._replace(identity=UUID(bytes=row[2]))


def file_check(path: Path, sha256: str) -> None:
    """Raises ArchiveDamaged where the file is missing or has other bytes."""
    try:
        found = file_sha256(path)
    except FileNotFoundError:
        raise ArchiveDamaged(
            f"{path} is not there; put it back, or set ARCHIVE_DIR to where it is."
        ) from None
    if found != sha256:
        raise ArchiveDamaged(f"{path} has SHA-256 {found}, and was written with {sha256}.")


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_write(folder: Path, document: dict[str, Any]) -> None:
    """What lies in a month's folder, for whoever finds it without a database beside it."""
    draft = folder / f".{MANIFEST}.draft"
    draft.write_text(json.dumps(document, indent=2) + "\n")
    _sync(draft)
    draft.replace(folder / MANIFEST)
    _sync(folder)


class _Content:
    """What went by: how many events, and a digest of all that they say."""

    def __init__(self) -> None:
        self.rows = 0
        self.digest = hashlib.sha256()

    def of(self, events: Iterable[ArchivedEvent]) -> Iterator[ArchivedEvent]:
        for event in events:
            self.rows += 1
            self.digest.update(repr([str(cell) for cell in event]).encode())
            yield event


def _groups(events: Iterable[ArchivedEvent]) -> Iterator[list[ArchivedEvent]]:
    group: list[ArchivedEvent] = []
    for event in events:
        group.append(event)
        if len(group) == GROUP_ROWS:
            yield group
            group = []
    if group:
        yield group


def _cell(cell: Any) -> Any:
    return cell.bytes if isinstance(cell, UUID) else cell


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
