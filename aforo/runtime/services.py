"""The three servers of one home folder, and the environment they give to everything else.

<home>/endpoints.json (mode 600) keeps ports, the secret key and the URLs, so that a command typed in
another shell finds the servers of a running `make run`.

DATABASE_URL, REDIS_URL and LOG_REDIS_URL, when set, point at servers of the operator's own; the embedded
one is then not started. Each by itself: with only REDIS_URL set, the event log is still ours and fsynced.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

from aforo.runtime.errors import HomeInUse, PortTaken, RuntimeFault
from aforo.runtime.postgres import EmbeddedPostgres
from aforo.runtime.process import port_is_free, port_pick, private_write, wait_until
from aforo.runtime.valkey import EmbeddedValkey, Role

HOME_DEFAULT = ".aforo"
# The order of starting; stopping goes backwards.
VARIABLES = {"postgres": "DATABASE_URL", "log": "LOG_REDIS_URL", "cache": "REDIS_URL"}
# Port 1 of this machine, where no server listens.
NOBODY = {
    "DATABASE_URL": "postgresql://127.0.0.1:1/none",
    "LOG_REDIS_URL": "redis://127.0.0.1:1/0",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}
PORT_TRIES = 5
LOCK_SECONDS = 0.3

Server = EmbeddedPostgres | EmbeddedValkey


def home_default(environ: Mapping[str, str] = os.environ) -> Path:
    """The data folder: AFORO_HOME, or `.aforo` in the working directory."""
    return Path(environ.get("AFORO_HOME") or HOME_DEFAULT).absolute()


class Services:
    """PostgreSQL, event log and cache under `home`, for one owner at a time.

    home: made with mode 700 if missing; parents keep their modes.
    relaxed: throw-away servers for tests (no fsync except in the log).
    environ: where DATABASE_URL, REDIS_URL, LOG_REDIS_URL and SECRET_KEY of the operator are looked for.
    """

    def __init__(
        self, home: Path | str, *, relaxed: bool = False, environ: Mapping[str, str] | None = None
    ) -> None:
        self.home = Path(home).absolute()
        self.relaxed = relaxed
        environ = os.environ if environ is None else environ
        self.given = {
            name: environ[name] for name in (*VARIABLES.values(), "SECRET_KEY") if environ.get(name)
        }
        self.servers: dict[str, Server] = {}
        self._lock: IO[str] | None = None
        self._kept: dict[str, Any] = {}

    def start(self) -> None:
        """Take the home's lock and start what the environment does not give; on any failure nothing is left.

        Raises HomeInUse, or what the servers raise (RuntimeFault).
        """
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_take()
        try:
            self._kept = endpoints_read(self.home) or {}
            self._kept.setdefault("ports", {})
            self._kept.setdefault("secret_key", secrets.token_urlsafe(48))
            for name, variable in VARIABLES.items():
                if variable not in self.given:
                    self.servers[name] = self._server_start(name)
            self.endpoints_write()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the servers, last started first, and give the home back. Harmless when not started."""
        for name in reversed(list(self.servers)):
            self.servers.pop(name).stop()
        if self._lock is not None:
            # Nothing kept: the file could not be read, and its ports and key are not ours to wipe.
            if self._kept:
                self.endpoints_write()
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_held(self) -> bool:
        """Whether this object owns the home."""
        return self._lock is not None

    def environment(self) -> dict[str, str]:
        """What settings read: DATABASE_URL, LOG_REDIS_URL, REDIS_URL, SECRET_KEY, AFORO_HOME."""
        return {
            **{VARIABLES[name]: server.url for name, server in self.servers.items()},
            "SECRET_KEY": self._kept["secret_key"],
            **self.given,
            "AFORO_HOME": str(self.home),
        }

    def pids(self) -> dict[str, int]:
        """Name to pid of the servers that run: postgres, log, cache."""
        return {name: server.pid for name, server in self.servers.items() if server.pid is not None}

    def crashed(self) -> list[str]:
        """The names of servers that were started and have ended by themselves."""
        return [name for name, server in self.servers.items() if server.pid is None]

    def restart(self, name: str) -> None:
        """Start a crashed server again, on the same port, for its clients hold the URL."""
        self.servers[name].start()

    def endpoints_write(self, **more: str) -> None:
        """Write endpoints.json; `more` are variables known only now, as AFORO_URL of the web server.

        After `stop` the URLs are gone from it and ports and key remain.
        """
        urls = {VARIABLES[name]: server.url for name, server in self.servers.items()}
        admin = {
            f"{VARIABLES[name].removesuffix('_URL')}_ADMIN_URL": server.admin_url
            for name, server in self.servers.items()
            if isinstance(server, EmbeddedValkey)
        }
        record = {
            "about": "Written by the supervisor. Private: it holds passwords.",
            "ports": self._kept.get("ports", {}),
            "secret_key": self._kept.get("secret_key", ""),
            "environment": {**urls, **more} if urls or more else {},
            "admin": admin,
        }
        private_write(self.home / "endpoints.json", json.dumps(record, indent=2) + "\n")

    def _server(self, name: str, port: int) -> Server:
        if name == "postgres":
            return EmbeddedPostgres(self.home / "postgres", port, relaxed=self.relaxed)
        role: Role = "log" if name == "log" else "cache"
        return EmbeddedValkey(self.home / role, port, role, relaxed=self.relaxed)

    def _server_start(self, name: str) -> Server:
        ports: dict[str, int] = self._kept["ports"]
        for attempt in range(PORT_TRIES):
            port = ports.get(name)
            if port is None:
                port = port_pick(avoid=list(ports.values()))
            server = self._server(name, port)
            # Before the look at the port: the one who holds it may be our own, left by a killed supervisor.
            server.leftovers_end()
            if port_is_free(port):
                ports[name] = port
                try:
                    server.start()
                except PortTaken:
                    # Somebody was quicker; another port, unless this goes on and on.
                    if attempt == PORT_TRIES - 1:
                        raise
                else:
                    return server
            ports.pop(name, None)
        raise RuntimeFault(f"{name}: no port found in {PORT_TRIES} tries.")

    def _lock_take(self) -> None:
        """Lock <home>/lock for as long as this process lives; the kernel lets go even at kill -9."""
        file = open(os.open(self.home / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+")  # noqa: SIM115 - kept open

        def is_taken() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        # Some patience: `home_holder` of another command holds it for a moment, too.
        if not wait_until(is_taken, LOCK_SECONDS):
            file.close()
            raise HomeInUse(self.home, home_holder(self.home))
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock = file


def home_holder(home: Path | str) -> int | None:
    """The pid of the supervisor that holds `home`, None when nobody does."""
    path = Path(home) / "lock"
    try:
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read().strip()
                return int(text) if text else None
    except FileNotFoundError:
        pass
    return None


def endpoints_read(home: Path | str) -> dict[str, Any] | None:
    """endpoints.json: ports, secret_key, environment (of running servers), admin; None without the file."""
    try:
        endpoints: dict[str, Any] = json.loads((Path(home) / "endpoints.json").read_text())
    except (FileNotFoundError, PermissionError):
        return None
    return endpoints


def environment_default() -> None:
    """Let a command in another shell find the running servers: fill os.environ where it has no value.

    Called first thing by the settings. Without <home>/endpoints.json it does nothing.
    """
    endpoints = endpoints_read(home_default())
    if endpoints is None:
        return
    for name, value in {"SECRET_KEY": endpoints["secret_key"], **endpoints["environment"]}.items():
        os.environ.setdefault(name, value)


def environment_of_command() -> None:
    """What manage.py needs to start at all: the running servers, or addresses at which nobody answers.

    So calculators and --help run without servers, and any other command says that they are missing.
    """
    environment_default()
    if "DATABASE_URL" not in os.environ:
        os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(48))
        for name, url in NOBODY.items():
            os.environ.setdefault(name, url)
