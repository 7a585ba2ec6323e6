"""A file system of its own that can lose its power, or be too small: ext4 in a file, mounted by the loop driver."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import time
from pathlib import Path
from typing import Self

# From the kernel's fs/ext4/ext4.h: _IOR('X', 125, __u32). NOLOGFLUSH: from this moment on nothing more reaches the disk,
# not even what the journal holds; every write and fsync fails.
SHUTDOWN = 0x8004_587D
NOLOGFLUSH = struct.pack("I", 2)
UNMOUNT_S = 10.0


class Disk:
    """mib: its size. path: where it is mounted."""

    def __init__(self, folder: Path, *, mib: int) -> None:
        self.path = folder / "disk"
        self._image = folder / "disk.ext4"
        self._mib = mib

    def __enter__(self) -> Self:
        # Not a skip: a proof that was not made must not look like one.
        assert os.geteuid() == 0, (
            "This test mounts a disk of its own, to cut its power or to fill it; run it as root (in CI: sudo make faults)."
        )
        with self._image.open("wb") as image:
            image.truncate(self._mib * 1024 * 1024)
        _run("mkfs.ext4", "-q", "-m", "0", str(self._image))
        self.path.mkdir()
        self.mount()
        return self

    def __exit__(self, *_: object) -> None:
        # Lazily: a server that did not end must not keep the mount for ever.
        subprocess.run(["umount", "--lazy", str(self.path)], check=False, capture_output=True)

    def mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.path))

    def power_cut(self) -> None:
        """From now on the disk takes nothing; what was not synced is gone.

        Freeze whoever writes to it before (programs.py). Power ends for the processor and the disk at one moment; here an
        fdatasync under way would end as a success although its data is gone: a bare loop of write and fdatasync lost its
        last write in one cut of ten, and none of 200 when frozen.
        """
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, NOLOGFLUSH)
        finally:
            os.close(folder)

    def power_back(self) -> None:
        """After a power cut, when nobody works on the disk any more: mounted again, as a machine does that boots."""
        end = time.monotonic() + UNMOUNT_S
        while subprocess.run(["umount", str(self.path)], check=False, capture_output=True).returncode:
            assert time.monotonic() < end, f"{self.path} is still in use"
            time.sleep(0.02)
        self.mount()

    def fill(self, *, left_bytes: int) -> Path:
        """Take the disk's space but for so much; returns the file to remove."""
        room = os.statvfs(self.path)
        ballast = self.path / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - left_bytes)
        return ballast


def _run(*words: str) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}"
