"""Where children's words go: prefixed lines on the terminal, or a quiet file for each."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Protocol

from aforo.runtime.process import log_open

NAME_WIDTH = 8
# Six that are readable on dark and light ground; given out in the order names appear.
COLOURS = ("36", "33", "35", "32", "34", "31")
OWN_NAME = "aforo"


class Output(Protocol):
    """What the supervisor asks of a place to write to."""

    is_broken: bool

    def say(self, text: str) -> None:
        """Write the supervisor's own words."""

    def target(self, name: str) -> IO[bytes] | int:
        """What a child called `name` gets as standard output and error."""

    def follow(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Begin to show what the child writes."""


class Terminal:
    """`web      | GET /health 200`: lines of all children on one stream, coloured where people look."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = stream or sys.stdout
        self.is_broken = False
        self._is_coloured = self.stream.isatty()
        self._colours: dict[str, str] = {}
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """One line a line of `text`, under our own name."""
        for line in text.splitlines():
            self._line(OWN_NAME, line)

    def block(self, text: str) -> None:
        """Write `text` as it is, uninterrupted by other lines."""
        self._write(text)

    def target(self, name: str) -> int:
        """A pipe, read by `follow`."""
        return subprocess.PIPE

    def follow(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Copy the child's lines until it and all that share its pipe have ended."""
        threading.Thread(target=self._copy, args=(name, process), name=f"log of {name}", daemon=True).start()

    def _copy(self, name: str, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is not None:
            with process.stdout as lines:
                for line in lines:
                    self._line(name, line.decode(errors="replace").rstrip())

    def _line(self, name: str, text: str) -> None:
        prefix = f"{name:<{NAME_WIDTH}} |"
        if self._is_coloured:
            colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        self._write(f"{prefix} {text}\n")

    def _write(self, text: str) -> None:
        with self._lock:
            try:
                self.stream.write(text)
                self.stream.flush()
            except (OSError, ValueError):
                # The terminal or the reader of the pipe is gone; the supervisor ends on seeing this.
                self.is_broken = True


class Files:
    """`<folder>/web.log` and so on, for runs whose own output belongs to a command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_broken = False

    def say(self, text: str) -> None:
        """Append to supervisor.log."""
        try:
            with self.target("supervisor") as file:
                file.write(text.encode() + b"\n")
        except OSError:
            # A full disk must not end what runs: it may have room again.
            pass

    def target(self, name: str) -> IO[bytes]:
        """The child's own file, for appending."""
        # Not earlier: the services make the home above it, with its private mode.
        self.folder.mkdir(mode=0o700, exist_ok=True)
        return log_open(self.folder / f"{name}.log")

    def follow(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Nothing to do: the child writes its file itself."""
