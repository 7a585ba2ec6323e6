"""Processes and ports: starting bound children, ending exactly what was started, finding free ports."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Literal

from aforo.runtime.errors import ServiceFault

Account = Literal["same", "namespace", "nobody"]

BOUND = Path(__file__).with_name("bound.py")
POLL_SECONDS = 0.02
LOG_BYTES_MAX = 8 * 1024 * 1024
# Below the range that systems hand to outgoing connections, so that nobody borrows a kept port.
PORTS = range(15_000, 32_000)


def bound_command(command: Sequence[str], *, parent_death: signal.Signals, account: Account) -> list[str]:
    """`command` behind bound.py, so that it gets `parent_death` when this process dies."""
    return [
        sys.executable,
        "-I",
        "-S",
        str(BOUND),
        str(os.getpid()),
        parent_death.name,
        account,
        *map(str, command),
    ]


def child_start(
    command: Sequence[str],
    *,
    cwd: Path,
    output: IO[bytes] | int,
    env: Mapping[str, str] | None = None,
    parent_death: signal.Signals = signal.SIGTERM,
    account: Account = "same",
    umask: int = -1,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own: Ctrl-C in the terminal reaches the supervisor only.

    Call it from a thread that lives as long as the child should: the kernel takes the death of the
    starting thread for the death of the parent.
    """
    return subprocess.Popen(
        bound_command(command, parent_death=parent_death, account=account),
        cwd=cwd,
        env=dict(env) if env is not None else None,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        umask=umask,
    )


def has_exited(process: subprocess.Popen[bytes]) -> bool:
    """Whether the child has ended; it is left unreaped, so that its number cannot pass to another process."""
    if process.returncode is not None:
        return True
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def group_end(process: subprocess.Popen[bytes]) -> int:
    """Kill what is left of the child's group and reap the child; returns its exit code.

    Pool processes of a killed master would otherwise live on and hold its port.
    """
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            # Nobody left, or (macOS) only the zombie itself.
            pass
    return process.wait()


def child_end(
    process: subprocess.Popen[bytes],
    steps: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 10.0),),
) -> int:
    """Ask the child to end, step by step (signal, seconds to wait), at last kill its group.

    Returns the exit code; negative for a signal, as subprocess has it.
    """
    for signal_number, seconds in steps:
        if has_exited(process):
            break
        process.send_signal(signal_number)
        if wait_until(lambda: has_exited(process), seconds):
            break
    return group_end(process)


def wait_until(is_met: Callable[[], bool], seconds: float) -> bool:
    """Ask `is_met` every 20 ms until it says yes or `seconds` have passed; returns its last answer."""
    deadline = time.monotonic() + seconds
    while not is_met():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def processes_in(folder: Path, name: str) -> list[int]:
    """The pids of programs called `name` that work in `folder`.

    Both servers change into their data folder, so this finds a server, and the backends that outlive
    a killed one, without trusting a pid file whose number may have passed to another process.
    Linux; elsewhere the list is empty and the servers' own interlocks must do.
    """
    found = []
    try:
        entries = [entry for entry in os.listdir("/proc") if entry.isdigit()]
    except FileNotFoundError:
        return []
    wanted = folder.resolve()
    for entry in entries:
        try:
            if (
                os.readlink(f"/proc/{entry}/cwd") == str(wanted)
                and os.path.basename(os.readlink(f"/proc/{entry}/exe")) == name
            ):
                found.append(int(entry))
        except OSError:
            # Ended meanwhile, or another account's.
            continue
    return found


def leftovers_end(
    folder: Path, name: str, pids: Sequence[int], order: signal.Signals, seconds: float = 20.0
) -> None:
    """Send `order` to `pids` and wait until no program called `name` works in `folder`; ServiceFault if one stays.

    The caller holds the home's lock, so nobody else owns them.
    """
    for pid in pids:
        try:
            os.kill(pid, order)
        except ProcessLookupError:
            # It went by itself.
            continue
    if not wait_until(lambda: not processes_in(folder, name), seconds):
        raise ServiceFault(
            f"{name}: processes {processes_in(folder, name)} still hold {folder} after {seconds:g} s."
        )


def port_is_free(port: int) -> bool:
    """Whether 127.0.0.1:`port` can be listened on now."""
    with socket.socket() as probe:
        # Connections that are only being forgotten (TIME_WAIT) do not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def port_pick(avoid: Sequence[int] = ()) -> int:
    """A free port at random, none of `avoid`; ServiceFault after 200 tries."""
    for _ in range(200):
        port = PORTS[secrets.randbelow(len(PORTS))]
        if port not in avoid and port_is_free(port):
            return port
    raise ServiceFault(f"No free port between {PORTS.start} and {PORTS.stop - 1}.")


def secret_kept(path: Path) -> str:
    """The password in `path`, made at first use; the file is its owner's only (mode 600)."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        secret = secrets.token_urlsafe(24)
        private_write(path, secret + "\n")
        return secret


def private_write(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step, mode 600 from its first byte."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    names_sync(path.parent)


def names_sync(folder: Path) -> None:
    """Bring the names in a folder to the disk: a file that was synced is lost with its name in a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def log_open(path: Path) -> IO[bytes]:
    """A server's log for appending, mode 600; one older log (`.1`) is kept beyond 8 MiB."""
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_name(path.name + ".1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def log_tail(path: Path, lines: int = 12) -> str:
    """The last `lines` lines of a log, for an error message."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"
