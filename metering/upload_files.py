"""The files of uploads, on a disk that the web server and the workers share (UPLOAD_DIR)."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from uuid import UUID

from django.conf import settings

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.identifiers import uuid7

from .compression import too_large
from .event import REFUSED_BODY_BYTES_MAX
from .file_reading import FILE_BYTES_MAX

SUFFIX = ".upload"
# Longer than any file is on its way; what is older and has no row was left behind by a crash.
ORPHANED_AFTER_S = 24 * 3600


class NewFile:
    """A file on its way in: written piece by piece, on the disk once it is kept; else it is gone.

    head: its first 64 KiB. length: bytes so far.
    """

    def __init__(self) -> None:
        self.id = uuid7()
        self.head = b""
        self.length = 0
        self._digest = hashlib.sha256()
        folder = Path(settings.UPLOAD_DIR)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(path_of(self.id), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    @property
    def sha256(self) -> str:
        """Of what was written so far, hexadecimal."""
        return self._digest.hexdigest()

    def write(self, piece: bytes) -> None:
        """Raises Problem: body_too_large beyond 50 MB, storage_unavailable where the disk refuses."""
        self.length += len(piece)
        self._digest.update(piece)
        if len(self.head) < REFUSED_BODY_BYTES_MAX:
            self.head += piece[: REFUSED_BODY_BYTES_MAX - len(self.head)]
        if self.length > FILE_BYTES_MAX:
            raise too_large(FILE_BYTES_MAX)
        try:
            view = memoryview(piece)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            raise _refused(error) from None

    def keep(self) -> None:
        """Return once the file and its name are on the disk. Raises Problem("storage_unavailable")."""
        try:
            os.fsync(self._file)
            folder = os.open(settings.UPLOAD_DIR, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise _refused(error) from None

    def close(self) -> None:
        os.close(self._file)

    def discard(self) -> None:
        self.close()
        file_remove(self.id)


def path_of(upload_id: UUID) -> Path:
    return Path(settings.UPLOAD_DIR) / f"{upload_id}{SUFFIX}"


def file_remove(upload_id: UUID) -> None:
    """Harmless a second time."""
    path_of(upload_id).unlink(missing_ok=True)


def files_orphaned() -> list[UUID]:
    """The files that are so old that whoever wrote them has ended."""
    before_s = now().timestamp() - ORPHANED_AFTER_S
    found = []
    for path in Path(settings.UPLOAD_DIR).glob(f"*{SUFFIX}"):
        try:
            if path.stat().st_mtime < before_s:
                found.append(UUID(path.stem))
        except (FileNotFoundError, ValueError):
            continue
    return found


def _refused(error: OSError) -> Problem:
    return Problem(
        "storage_unavailable", f"The disk for uploads refused: {error.strerror}.", retry_after_s=30
    )
