"""Makes .venv and installs what requirements*.lock says, with hashes; does nothing when that is already so.

    python3 -I aforo/runtime/installation.py [--dev]

Run by the Makefile under the system's Python (3.11 or newer, standard library only): at this moment nothing
else is there. Never touches another virtual environment, and needs no network once installed.
"""

import argparse
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LOCK, LOCK_DEV = "requirements.lock", "requirements-dev.lock"
# What could lead pip or uv elsewhere than into our own environment.
STEERING = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")


class InstallFault(Exception):
    """What went wrong, and what the reader can do about it."""


class Installation:
    """The environment `.venv` of one copy of the project.

    The stamp beside it says which lock was installed, by which Python, at which place: an environment that was
    copied or whose Python was replaced is made anew.
    """

    def __init__(self, project: Path = PROJECT) -> None:
        self.project = project
        self.folder = project / ".venv"
        self.python = self.folder / "bin" / "python"

    def make(self, *, is_dev: bool) -> None:
        """Bring the environment to what the lock says. Raises InstallFault."""
        wanted = self._stamp(is_dev=is_dev)
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "install.lock").open("w") as lock:
            # Two `make` at once: the second waits, then finds the work done.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._is_made(wanted):
                return
            # What the development lock installed holds the run-time packages as well.
            if not is_dev and self._is_made(self._stamp(is_dev=True)):
                return
            if not self._is_sound():
                self._environment_make()
            say(f"Installing {LOCK_DEV if is_dev else LOCK} into {self.folder} …")
            self._packages_install(self.project / (LOCK_DEV if is_dev else LOCK))
            self._stamp_path.write_text(wanted)

    @property
    def _stamp_path(self) -> Path:
        return self.folder / "installed"

    def _is_made(self, wanted: str) -> bool:
        return self._stamp_path.is_file() and self._stamp_path.read_text() == wanted and self.python.exists()

    def _stamp(self, *, is_dev: bool) -> str:
        name = LOCK_DEV if is_dev else LOCK
        digest = hashlib.sha256((self.project / name).read_bytes()).hexdigest()
        return f"{self._place()}\n{name} {digest}\n"

    def _place(self) -> str:
        return f"{self.folder} Python {sys.version_info.major}.{sys.version_info.minor}"

    def _is_sound(self) -> bool:
        """Whether an environment is here that this Python made at this place, and it starts."""
        if not (self._stamp_path.is_file() and self._stamp_path.read_text().startswith(self._place() + "\n")):
            return False
        return subprocess.run([str(self.python), "-c", ""], check=False, capture_output=True).returncode == 0

    def _environment_make(self) -> None:
        if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
            raise InstallFault(
                f"{sys.executable} cannot make virtual environments. On Debian and Ubuntu the package for it is "
                "python3-venv (apt install python3-venv); install it and repeat the command."
            )
        say(f"Making {self.folder} with Python {sys.version.split()[0]} …")
        for path in self.folder.iterdir():
            if path.name != "install.lock":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self._run(
            [sys.executable, "-m", "venv", str(self.folder)], "The virtual environment could not be made."
        )

    def _packages_install(self, lock: Path) -> None:
        """By uv, which takes 2 s where pip takes 20; by pip where there is no uv for the platform."""
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        hashed = ["--require-hashes", "-r"]
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(locked(self.project / LOCK_DEV, "uv"))
            file.flush()
            if subprocess.run([*pip, *hashed, file.name], check=False, env=self._environ()).returncode == 0:
                uv = [str(self.python), "-m", "uv", "pip", "install", "--quiet", "--python", str(self.python)]
                if (
                    subprocess.run([*uv, *hashed, str(lock)], check=False, env=self._environ()).returncode
                    == 0
                ):
                    return
        say("uv could not do it; trying pip, which takes longer …")
        self._run(
            [*pip, *hashed, str(lock)],
            "The packages could not be installed; the lines above say why. The first installation needs a "
            "package index (the network, or one that pip's settings name).",
        )

    def _environ(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name not in STEERING}

    def _run(self, command: Sequence[str], fault: str) -> None:
        if subprocess.run(command, check=False, env=self._environ()).returncode != 0:
            raise InstallFault(fault)


def locked(lock: Path, package: str) -> str:
    """The entry of one package in a lock file: its version and hashes."""
    found = re.search(rf"^{package}==.*(?:\n    --hash.*)+", lock.read_text(), re.MULTILINE)
    if found is None:
        raise InstallFault(f"{lock} has no entry for {package}; make it anew with `make lock`.")
    return found[0] + "\n"


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what is going on


def main(words: Sequence[str] | None = None) -> int:
    """Returns the exit code, 1 for a fault that was said on stderr."""
    parser = argparse.ArgumentParser(description="Make .venv and install the locked packages.")
    parser.add_argument("--dev", action="store_true", help="also what tests and checks need")
    given = parser.parse_args(words)
    try:
        Installation().make(is_dev=given.dev)
    except (InstallFault, OSError) as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
