"""The spool: the last place for a submission when neither log nor store can be reached, on this host's own disk.

A folder of files, one open file a process. A record is its length and CRC-32 (4 bytes each, big-endian), then the
entry. An append is fsynced before it is answered; a record torn by a crash was never acknowledged and is passed over.
Both an append and a drain hold the file's lock: a drain passes a busy file over, an append then starts another.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from aforo.kernel.identifiers import uuid7

_HEAD = struct.Struct(">II")
SUFFIX = ".spool"


class SpoolFull(OSError):
    """The spool has reached its bound, or its disk is full; nothing was kept."""


class Spool:
    """Appends entries under a folder; one per process, safe between threads.

    bytes_max: bound over all files of the folder; beyond it an append is refused, never an older entry dropped.
    """

    def __init__(self, folder: Path, *, bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._file: int | None = None

    def append(self, entry: bytes) -> None:
        """Keep an entry and return once it is on the disk.

        Raises SpoolFull; what had been kept stays as it was.
        """
        record = _HEAD.pack(len(entry), zlib.crc32(entry)) + entry
        with self._lock:
            if spool_bytes(self._folder) + len(record) > self._bytes_max:
                raise SpoolFull(f"the spool holds {self._bytes_max} bytes and is full")
            try:
                file = self._locked()
                if os.write(file, record) < len(record):
                    raise OSError("no space left for the whole record")
                os.fdatasync(file)
                fcntl.flock(file, fcntl.LOCK_UN)
            except OSError as error:
                # What was torn stays the last of its file, and is passed over there; the next append starts another.
                self._leave()
                raise SpoolFull(f"the spool's disk refused: {error}") from None

    def _locked(self) -> int:
        """The file of this process, locked; another where a drain holds it or has taken it away."""
        while True:
            if self._file is None:
                self._file = self._open()
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(self._file).st_nlink:
                    return self._file
            except BlockingIOError:
                pass
            self._leave()

    def _open(self) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{uuid7()}{SUFFIX}"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        # The file's name must survive a power cut as well as its bytes.
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        return file

    def _leave(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def spool_bytes(folder: Path, suffix: str = SUFFIX) -> int:
    """How much waits under the folder, in bytes. suffix: of the files that count."""
    count = 0
    for path in folder.glob(f"*{suffix}"):
        try:
            count += path.stat().st_size
        except FileNotFoundError:
            # Drained at this moment.
            continue
    return count


def spool_drain(folder: Path, keep: Callable[[list[bytes]], None]) -> int:
    """Hand every entry to *keep*, file by file and oldest first; then remove the file.

    keep: makes the entries of one file durable elsewhere, or raises; then the file stays for the next drain. A crash
    between keep and remove repeats the file, so keep must be idempotent.
    Returns how many entries were handed over.
    """
    count = 0
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            # Another drain was quicker, here and below.
            continue
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if not os.fstat(file).st_nlink:
                continue
            entries = list(_records(path.read_bytes()))
            if entries:
                keep(entries)
            path.unlink()
            count += len(entries)
        finally:
            os.close(file)
    return count


def _records(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        entry = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(entry) < length or zlib.crc32(entry) != checksum:
            return
        yield entry
        at += _HEAD.size + length
