"""One process that starts the servers and the application, keeps them up, and ends them in order.

Start: servers, migrations, demo tenant, then web, writer, publisher, worker, beat.
End:   web (no new events), beat (no new tasks), worker, writer (drains what was accepted), publisher, then the servers.

A child that ends by itself is started again after a pause that grows. Only what was started here is ever
ended, by its own pid and group; `kill -9` of the supervisor ends its children too (bound.py).
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aforo.runtime.errors import RuntimeFault
from aforo.runtime.output import Files, Output, Terminal
from aforo.runtime.process import (
    bound_command,
    child_start,
    group_end,
    has_exited,
    log_tail,
    port_is_free,
    private_write,
    wait_until,
)
from aforo.runtime.services import Services

PROJECT = Path(__file__).resolve().parents[2]
PORT_DEFAULT = 8000
PORTS_TRIED = 50
TICK_SECONDS = 0.1
# Pauses before the first, second, … restart of a child that keeps ending.
PAUSES_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# Between two attempts to restart the same server; the first comes at once.
SERVICE_PAUSE_SECONDS = 1.0
# A child that stayed up this long has recovered; its next pause is the first again.
STEADY_SECONDS = 60.0
HEALTH_TIMEOUT_SECONDS = 2.0
READY_SECONDS = 120.0
COMMAND_GRACE_SECONDS = 2.0
STOP_ORDER = ("web", "beat", "worker", "writer", "publisher")


class Interrupted(Exception):
    """Ctrl-C or SIGTERM arrived while something was being prepared."""


@dataclass(frozen=True)
class Program:
    """One child to keep up.

    grace_seconds: how long it may take to end after SIGTERM before its group is killed.
    """

    name: str
    command: tuple[str, ...]
    grace_seconds: float


@dataclass
class Child:
    """A program and its present process.

    due_at: monotonic seconds at which it is started again, None while it runs.
    ends: how often it has ended by itself since it was last steady.
    """

    program: Program
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    due_at: float | None = 0.0
    ends: int = 0


def manage(project: Path, *words: str) -> tuple[str, ...]:
    """A management command as a command line."""
    return (sys.executable, str(project / "manage.py"), *words)


def application(project: Path, home: Path, port: int, *, has_beat: bool = True) -> tuple[Program, ...]:
    """Web, writer, publisher, worker and (for a long run) beat, in the order of starting."""
    # To run as root is supported here; the queue's port is on loopback and behind a password.
    silence = "ignore:You're running the worker with superuser privileges"
    celery = (sys.executable, "-W", silence, "-m", "celery", "-q", "-A", "aforo")
    web = (
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "2", "--blocking-threads", "1", "--no-ws", "--log-level", "warning",
        # One that was killed comes back at once; the master sees to it.
        "--respawn-failed-workers", "--respawn-interval", "0.5", "aforo.wsgi:application",
    )  # fmt: skip
    beat = (
        *celery, "beat", "-l", "warning", "--schedule", str(home / "beat-schedule"),
        # No pid file: the home's lock already keeps a second one out, and a stale file would block the start.
        "--pidfile=",
    )  # fmt: skip
    programs = (
        Program("web", web, grace_seconds=10.0),
        Program("writer", manage(project, "writer"), grace_seconds=30.0),
        Program("publisher", manage(project, "publisher"), grace_seconds=10.0),
        Program("worker", (*celery, "worker", "--concurrency", "2", "-l", "warning"), grace_seconds=30.0),
        Program("beat", beat, grace_seconds=5.0),
    )
    return programs if has_beat else programs[:-1]


def python_path(project: Path) -> str:
    """PYTHONPATH for children: the project before what the caller had."""
    return os.pathsep.join(filter(None, (str(project), os.environ.get("PYTHONPATH"))))


class Supervisor:
    """Keeps `programs` up beside `services` until told to stop.

    services: started by `start`; stopped last.
    output: where children's words go.
    on_ready: called once, when `url`/health first answers.
    url: of the web server; None when there is none to wait for.

    `start`, `tick` and `stop` belong to the thread that lives as long as the children (bound.py says why).
    """

    def __init__(
        self,
        services: Services,
        programs: Sequence[Program],
        output: Output,
        *,
        project: Path = PROJECT,
        url: str | None = None,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self.services = services
        self.output = output
        self.project = project
        self.url = url
        self.on_ready = on_ready
        self.is_ready = url is None
        self.children = {program.name: Child(program) for program in programs}
        self.signals_seen = 0
        self._service_due_at: dict[str, float] = {}
        self._pids_written: dict[str, int] = {}

    @property
    def is_stopping(self) -> bool:
        """Whether Ctrl-C or SIGTERM has come, or nobody reads the output any more."""
        return self.signals_seen > 0 or self.output.is_broken

    def signals_take(self) -> None:
        """From now on Ctrl-C, SIGTERM and a closed terminal end things in order; a second one at once."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Started by nohup, we are meant to outlive the terminal.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._signal)

    def environment(self) -> dict[str, str]:
        """What children see: ours, the servers' URLs, and the project on Python's path."""
        return {
            "DJANGO_SETTINGS_MODULE": "aforo.settings",
            **os.environ,
            **self.services.environment(),
            "PYTHONPATH": python_path(self.project),
            "PYTHONUNBUFFERED": "1",
        }

    def prepare(
        self,
        name: str,
        command: Sequence[str],
        *,
        more: Mapping[str, str] | None = None,
        is_secret: bool = False,
    ) -> str:
        """Run `command` to its end and return its words; they stay in <home>/logs/ unless secret.

        more: variables for this command only.

        Raises RuntimeFault with its last words if it fails, Interrupted at Ctrl-C.
        """
        folder = self.services.home / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        # Into a file: a pipe that nobody reads would stop a talkative command.
        log = folder / f"{name}.log"
        try:
            with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                environment = {**self.environment(), **(more or {})}
                process = child_start(command, cwd=self.project, output=file, env=environment)
            try:
                while not has_exited(process):
                    if self.is_stopping:
                        process.send_signal(signal.SIGTERM)
                        wait_until(lambda: has_exited(process) or self.signals_seen > 1, 10.0)
                        raise Interrupted(name)
                    time.sleep(TICK_SECONDS)
            finally:
                code = group_end(process)
            text = log.read_text(errors="replace")
        finally:
            if is_secret:
                log.unlink(missing_ok=True)
        if code != 0:
            raise RuntimeFault(f"{name} failed ({code}):\n" + "\n".join(text.splitlines()[-25:]))
        return text

    def start(self) -> None:
        """Start the servers; the programs follow at the first tick."""
        self.services.start()

    def tick(self) -> None:
        """Start what is due, note what has ended, look whether the web answers. Returns quickly."""
        now = time.monotonic()
        for name in self.services.crashed():
            if now >= self._service_due_at.get(name, now):
                self._service_restart(name)
        for child in self.children.values():
            if child.process is not None and has_exited(child.process):
                self._child_ended(child, now)
            if child.process is None and child.due_at is not None and now >= child.due_at:
                self._child_start(child, now)
        self._pids_write()
        if not self.is_ready and self._web_answers():
            self.is_ready = True
            self.services.endpoints_write(AFORO_URL=str(self.url))
            self.on_ready()

    def run(self) -> None:
        """Tick until Ctrl-C or SIGTERM."""
        while not self.is_stopping:
            self.tick()
            time.sleep(TICK_SECONDS)

    def stop(self) -> None:
        """End the programs in STOP_ORDER, then the servers. A second Ctrl-C leaves out the waiting."""
        rank = {name: index for index, name in enumerate(STOP_ORDER)}
        for child in sorted(
            self.children.values(), key=lambda child: rank.get(child.program.name, len(rank))
        ):
            self._child_end(child)
        if self.services.is_held:
            (self.services.home / "pids.json").unlink(missing_ok=True)
        self.services.stop()

    def _signal(self, number: int, _frame: object) -> None:
        self.signals_seen += 1

    def _service_restart(self, name: str) -> None:
        self.output.say(f"{name} has ended by itself; starting it again.")
        try:
            self.services.restart(name)
        except (RuntimeFault, OSError) as fault:
            # A later tick tries again (a full disk may have room by then); children retry their connections meanwhile.
            self.output.say(f"{name}: {fault}")
        self._service_due_at[name] = time.monotonic() + SERVICE_PAUSE_SECONDS

    def _child_start(self, child: Child, now: float) -> None:
        target = self.output.target(child.program.name)
        child.process = child_start(
            child.program.command, cwd=self.project, output=target, env=self.environment()
        )
        if not isinstance(target, int):
            target.close()
        child.started_at, child.due_at = now, None
        self.output.follow(child.program.name, child.process)

    def _child_end(self, child: Child) -> None:
        process, child.process, child.due_at = child.process, None, None
        if process is None:
            return
        if not has_exited(process):
            process.send_signal(signal.SIGTERM)
            seconds = child.program.grace_seconds
            if not wait_until(lambda: has_exited(process) or self.signals_seen > 1, seconds):
                self.output.say(f"{child.program.name} did not end in {seconds:g} s; killed.")
        group_end(process)

    def _child_ended(self, child: Child, now: float) -> None:
        if child.process is None:
            return
        # Its pool or worker processes may have outlived it.
        code = group_end(child.process)
        child.process = None
        if now - child.started_at >= STEADY_SECONDS:
            child.ends = 0
        pause = PAUSES_SECONDS[min(child.ends, len(PAUSES_SECONDS) - 1)]
        child.ends += 1
        child.due_at = now + pause
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        self.output.say(f"{child.program.name} has ended {how}; starting it again in {pause:g} s.")

    def _pids_write(self) -> None:
        pids = {"supervisor": os.getpid(), **self.services.pids()}
        pids |= {
            name: child.process.pid for name, child in self.children.items() if child.process is not None
        }
        if pids != self._pids_written:
            try:
                private_write(self.services.home / "pids.json", json.dumps(pids, indent=2) + "\n")
            except OSError as error:
                # Said at the first of many tries; the next tick tries again.
                if self._pids_written:
                    self.output.say(f"pids.json cannot be written: {error}")
                self._pids_written = {}
            else:
                self._pids_written = pids

    def _web_answers(self) -> bool:
        host, _, port = str(self.url).removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=HEALTH_TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            # Not yet.
            return False
        finally:
            connection.close()


def web_port(wanted: int, say: Callable[[str], None]) -> int:
    """`wanted` or the next free port on 127.0.0.1, which is said; RuntimeFault if fifty are taken."""
    for port in range(wanted, min(wanted + PORTS_TRIED, 65_536)):
        if port_is_free(port):
            if port != wanted:
                say(f"Port {wanted} is taken by another program; using {port}.")
            return port
    raise RuntimeFault(f"Ports {wanted} to {wanted + PORTS_TRIED - 1} are taken; choose another with PORT=….")


def database_prepare(supervisor: Supervisor) -> dict[str, Any]:
    """Migrate, make the demo tenant once; returns what demo_seed answers.

    tenant, admin_user, admin_password, api_key, created. Secrets that only the first run can tell (they are
    stored as hashes) are kept in <home>/demo.json, mode 600: it is a demo's key.
    """
    project, home = supervisor.project, supervisor.services.home
    supervisor.output.say("Migrating the database.")
    supervisor.prepare("migrate", manage(project, "migrate", "--noinput"))
    supervisor.output.say("Looking after the demo tenant.")
    kept = seed_read(home)
    # demo_seed looks whether this database knows the kept key, and makes another if not.
    text = supervisor.prepare(
        "demo_seed", manage(project, "demo_seed", "--json"), more=seed_environment(kept), is_secret=True
    )
    seed = answer_parse(text)
    if not seed.get("created"):
        seed = {**kept, **{name: value for name, value in seed.items() if value is not None}}
    private_write(home / "demo.json", json.dumps(seed, indent=2) + "\n")
    return seed


def seed_read(home: Path) -> dict[str, Any]:
    """What an earlier run kept of the demo tenant; empty before the first."""
    try:
        seed: dict[str, Any] = json.loads((home / "demo.json").read_text())
    except FileNotFoundError:
        return {}
    return seed


def answer_parse(text: str) -> dict[str, Any]:
    """The JSON object a command printed, alone or as its last line; RuntimeFault without one."""
    for candidate in (text, *reversed(text.strip().splitlines()[-1:])):
        try:
            answer = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(answer, dict):
            return answer
    raise RuntimeFault(f"demo_seed --json printed no JSON object:\n{text[-2000:]}")


def command_run(supervisor: Supervisor, command: Sequence[str], **more: str) -> int:
    """Run the user's command in the foreground while everything else is kept up; returns its exit code.

    It shares our terminal and so gets Ctrl-C itself; if it has not ended 2 s after one, it gets SIGTERM.
    """
    bound = bound_command(command, parent_death=signal.SIGTERM, account="same")
    process = subprocess.Popen(bound, env={**supervisor.environment(), **more})
    told_at: float | None = None
    while process.poll() is None:
        supervisor.tick()
        if supervisor.signals_seen:
            told_at = told_at or time.monotonic()
            if supervisor.signals_seen > 1:
                process.kill()
            elif time.monotonic() - told_at > COMMAND_GRACE_SECONDS:
                process.terminate()
        time.sleep(TICK_SECONDS)
    # A command ended by signal N reports 128 + N, as a shell has it.
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def run(home: Path, port: int, *, project: Path = PROJECT) -> int:
    """`make run`: everything up until Ctrl-C; returns the exit code."""
    output = Terminal()
    services = Services(home)
    supervisor = Supervisor(services, (), output, project=project)
    supervisor.signals_take()
    try:
        output.say(f"Starting the servers under {home}.")
        supervisor.start()
        output.say(servers_said(services))
        seed = database_prepare(supervisor)
        port = web_port(port, output.say)
        url = f"http://127.0.0.1:{port}"
        supervisor.children = {program.name: Child(program) for program in application(project, home, port)}
        supervisor.url, supervisor.is_ready = url, False
        supervisor.on_ready = lambda: output.block(welcome(url, seed, home))
        supervisor.run()
        output.say("Ending: web, beat, worker, writer, publisher, servers. (Ctrl-C again to end at once.)")
    except Interrupted:
        output.say("Interrupted; ending.")
    finally:
        supervisor.stop()
    output.say(f"Ended. Your data stays under {home}.")
    return 0


def with_services(home: Path, command: Sequence[str], *, project: Path = PROJECT) -> int:
    """Run `command` with the servers up and nothing else; returns its exit code."""
    services = Services(home)
    supervisor = Supervisor(services, (), Files(home / "logs"), project=project)
    supervisor.signals_take()
    try:
        supervisor.start()
        return command_run(supervisor, command)
    finally:
        supervisor.stop()


def with_application(home: Path, port: int, command: Sequence[str], *, project: Path = PROJECT) -> int:
    """Run `command` with servers, web, writer, publisher and worker up; returns its exit code.

    It finds AFORO_URL, AFORO_TENANT and AFORO_API_KEY in its environment. Logs go to <home>/logs/.
    """
    output = Files(home / "logs")
    services = Services(home)
    supervisor = Supervisor(services, (), output, project=project)
    supervisor.signals_take()
    try:
        supervisor.start()
        seed = database_prepare(supervisor)
        port = web_port(port, output.say)
        programs = application(project, home, port, has_beat=False)
        supervisor.children = {program.name: Child(program) for program in programs}
        supervisor.url, supervisor.is_ready = f"http://127.0.0.1:{port}", False
        deadline = time.monotonic() + READY_SECONDS
        while not supervisor.is_ready:
            if supervisor.is_stopping:
                raise Interrupted("start")
            if time.monotonic() > deadline:
                log = output.folder / "web.log"
                raise RuntimeFault(
                    f"The web server did not answer in {READY_SECONDS:g} s. The end of {log}:\n{log_tail(log)}"
                )
            supervisor.tick()
            time.sleep(TICK_SECONDS)
        return command_run(supervisor, command, AFORO_URL=supervisor.url, **seed_environment(seed))
    except Interrupted:
        return 128 + signal.SIGINT
    finally:
        supervisor.stop()


def seed_environment(seed: dict[str, Any]) -> dict[str, str]:
    """The demo tenant's name and key as variables for a command."""
    names = {"AFORO_TENANT": "tenant", "AFORO_API_KEY": "api_key"}
    return {variable: str(seed[name]) for variable, name in names.items() if seed.get(name)}


def servers_said(services: Services) -> str:
    """One line on which servers are ours and which the operator's."""
    ports = [f"{name} on {server.port}" for name, server in services.servers.items()]
    given = [f"{name} as given" for name in services.given if name != "SECRET_KEY"]
    return "Up: " + ", ".join(ports + given) + "."


def welcome(url: str, seed: dict[str, Any], home: Path) -> str:
    """The panel with addresses and keys, and the first call to make, as text that can be pasted."""
    # Here and not above: rich takes a while to import, and a stop should not wait for it.
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 2))
    for label, value in (
        ("Admin", f"{url}/admin/"),
        ("  login", seed.get("admin_user")),
        ("  password", seed.get("admin_password")),
        ("Tenant", seed.get("tenant")),
        ("API key", seed.get("api_key")),
        ("API pages", f"{url}/api/docs"),
        ("Data", home),
    ):
        # As text, not markup: a password may hold brackets.
        rows.add_row(f"[bold]{label}[/bold]", Text(str(value or "(manage.py changepassword admin sets one)")))
    # Wide enough for a key: a folded one cannot be copied.
    console = Console(width=max(Console().width, 100))
    with console.capture() as captured:
        console.print()
        console.print(Panel(rows, title="Aforo is up", expand=False, padding=(1, 2)))
    tenant, key = seed.get("tenant", "acme_corp"), seed.get("api_key") or "YOUR_KEY"
    return captured.get() + (
        "\nYour first event:\n\n"
        f"curl -i -X POST {url}/v1/events \\\n"
        f'  -H "Authorization: Bearer {key}" \\\n'
        f'  -H "X-Tenant-Id: {tenant}" \\\n'
        """  -d '{"event":"api.call","endpoint":"/v1/search","customer_id":"cust_abc"}'\n\n"""
        "Ctrl-C ends everything.\n\n"
    )
