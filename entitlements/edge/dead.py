"""Events that the origin could not read even alone: set aside on this disk, a file a day, and sent again from there.

A file has an event a line, as JSON: at, status and answer of the origin, event. A person may correct an event or remove a line.
An agent may add lines while a file is sent again: whoever writes holds the file's lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from aforo.kernel.clock import now
from aforo.kernel.periods import instant_text
from aforo.runtime.process import names_sync, private_write
from metering.spool import spool_bytes

from .sending import BATCH_EVENTS, Sender, Unreadable, Waits

SUFFIX = ".ndjson"
ANSWER_BYTES_MAX = 2_000
# An origin that is away while events are sent again is tried for so long; a restart takes seconds.
PATIENCE_S = 300.0

_json = msgspec.json.Encoder()

# Told (seconds, why) before each pause between two tries.
OnPause = Callable[[float, str], None]


class DeadEvent(msgspec.Struct, frozen=True):
    """at: when it was refused. status, answer: the origin's. event: as it was sent."""

    at: str
    status: int
    answer: str
    event: msgspec.Raw


class Busy(OSError):
    """Somebody sends the folder's events again at this moment."""


class DeadEvents:
    """Those of one spool; they lie in its folder `dead`."""

    def __init__(self, spool: Path) -> None:
        self.folder = spool / "dead"

    def bury(self, event: msgspec.Raw, status: int, answer: bytes) -> None:
        """Keep an event for a person to look at, and return once it is on the disk."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with _locked(self._path(f"{now():%Y-%m-%d}")) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            # A line that a crash has torn, or an editor has left without its end, stays by itself.
            torn = b"\n" if file.read(1) not in (b"", b"\n") else b""
            file.write(torn + _line(event, status, answer) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        names_sync(self.folder)

    def days(self) -> list[str]:
        """Those that have events, the oldest first: "2026-03-15"."""
        return sorted(path.stem for path in self.folder.glob(f"*{SUFFIX}"))

    def of_day(self, day: str) -> list[DeadEvent | None]:
        """Line by line; None for one that cannot be read."""
        return [_read(line) for line in _lines(self._path(day).read_bytes())]

    def size_bytes(self) -> int:
        return spool_bytes(self.folder, SUFFIX)

    @contextmanager
    def replaying(self) -> Iterator[None]:
        """Nobody else sends them again meanwhile. Raises Busy where somebody does."""
        with (self.folder / ".replay").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy("Another command sends these events again at this moment.") from None
            yield

    def replay(
        self,
        day: str,
        sender: Sender,
        *,
        on_events: Callable[[int], None] = lambda count: None,
        on_pause: OnPause = lambda seconds, why: None,
    ) -> int:
        """Send a day's events again; returns how many the origin has taken.

        Those are removed; what is refused again stays with its new answer, and a line that cannot be read as it is.
        on_events: told how many more are done, after each batch.
        Killed at any point it loses nothing: the file is replaced in one step, after the answers, and what is then sent
        again has the same keys. Raises Waits where the origin has taken none for five minutes or refuses whoever sends;
        what it took before is removed.
        """
        with _locked(self._path(day)) as file:
            file.seek(0)
            data = file.read()
        lines = _lines(data)
        staying: list[bytes] = []
        done = 0
        try:
            for at in range(0, len(lines), BATCH_EVENTS):
                batch = lines[at : at + BATCH_EVENTS]
                staying += _sent_again(batch, sender, on_pause)
                done += len(batch)
                on_events(len(batch))
        finally:
            self._replace(day, len(data), [*staying, *lines[done:]])
        return done - len(staying)

    def _replace(self, day: str, length: int, lines: Sequence[bytes]) -> None:
        """Put these lines in the place of the first *length* bytes of a day's file."""
        path = self._path(day)
        with _locked(path) as file:
            file.seek(length)
            content = b"".join(line + b"\n" for line in lines) + file.read()
            if content:
                private_write(path, content.decode(errors="replace"))
            else:
                path.unlink()

    def _path(self, day: str) -> Path:
        return self.folder / (day + SUFFIX)


def _sent_again(lines: Sequence[bytes], sender: Sender, on_pause: OnPause) -> list[bytes]:
    """Send a batch's events again; returns the lines that stay."""
    dead = {index: one for index, line in enumerate(lines) if (one := _read(line))}
    places = list(dead)
    events = [one.event for one in dead.values()]
    refused = {places[one.index]: one for one in _sent(events, sender, on_pause)}
    staying = []
    for index, line in enumerate(lines):
        if index in refused:
            staying.append(_line(dead[index].event, refused[index].status, refused[index].answer))
        elif index not in dead:
            staying.append(line)
    return staying


def _sent(events: Sequence[msgspec.Raw], sender: Sender, on_pause: OnPause) -> list[Unreadable]:
    end_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return sender.send(events)
        except Waits as waits:
            if waits.refused_status or time.monotonic() + waits.seconds > end_s:
                raise
            on_pause(waits.seconds, str(waits))
            time.sleep(waits.seconds)


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """The file of that name, made where there is none, for reading and appending; nobody else writes it meanwhile."""
    while True:
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Another may have been put in its place while we waited.
            if os.fstat(file.fileno()).st_nlink:
                yield file
                return


def _line(event: msgspec.Raw, status: int, answer: bytes) -> bytes:
    said = answer[:ANSWER_BYTES_MAX].decode(errors="replace")
    return _json.encode(DeadEvent(instant_text(now()), status, said, event))


def _lines(data: bytes) -> list[bytes]:
    return [line for line in data.split(b"\n") if line.strip()]


def _read(line: bytes) -> DeadEvent | None:
    try:
        return msgspec.json.decode(line, type=DeadEvent)
    except msgspec.DecodeError:
        return None
