"""python -m aforo.runtime run | services | with-app | stop | doctor"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from aforo.runtime import doctor, supervisor
from aforo.runtime.errors import HomeInUse, RuntimeFault
from aforo.runtime.process import wait_until
from aforo.runtime.services import endpoints_read, home_default, home_holder

STOP_SECONDS = 120.0


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m aforo.runtime",
        description="Start, use and end Aforo's own servers. Data lies under --home (AFORO_HOME, .aforo).",
        epilog="Example: python -m aforo.runtime with-app -- manage.py demo --rows 10000",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    home = argparse.ArgumentParser(add_help=False)
    home.add_argument("--home", type=Path, default=home_default(), help="data folder")
    port = argparse.ArgumentParser(add_help=False)
    port.add_argument(
        "--port",
        type=int,
        default=int(os.environ.get("PORT") or supervisor.PORT_DEFAULT),
        help="of the web server; the next free one if it is taken (PORT, 8000)",
    )
    command = argparse.ArgumentParser(add_help=False)
    command.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    commands = parser.add_subparsers(dest="action", required=True)
    commands.add_parser("run", parents=[home, port], help="start everything, until Ctrl-C")
    commands.add_parser("services", parents=[home, command], help="run COMMAND with the servers up")
    commands.add_parser(
        "with-app",
        parents=[home, port, command],
        help="run COMMAND with servers, web, writer, publisher and worker up",
    )
    commands.add_parser("stop", parents=[home], help="end the supervisor that holds the data folder")
    commands.add_parser("doctor", parents=[home], help="say what could be wrong")
    return parser


def command_of(words: Sequence[str]) -> list[str]:
    """The user's command; `manage.py …` is run by this Python."""
    words = list(words[1:] if words[:1] == ["--"] else words)
    if not words:
        raise RuntimeFault("Which command? Example: python -m aforo.runtime services -- manage.py check")
    if words[0] in ("manage.py", "./manage.py"):
        return list(supervisor.manage(supervisor.PROJECT, *words[1:]))
    return [sys.executable, *words[1:]] if words[0] == "python" else words


def with_running(home: Path, command: Sequence[str], *, is_web_wanted: bool) -> int | None:
    """Run `command` against the supervisor that already holds `home`; None if there is none to use."""
    endpoints = endpoints_read(home)
    if endpoints is None or (is_web_wanted and "AFORO_URL" not in endpoints["environment"]):
        return None
    environment = {
        **os.environ,
        "PYTHONPATH": supervisor.python_path(supervisor.PROJECT),
        "AFORO_HOME": str(home),
        "SECRET_KEY": endpoints["secret_key"],
        **endpoints["environment"],
        **supervisor.seed_environment(supervisor.seed_read(home)),
    }
    return subprocess.run(command, env=environment, check=False).returncode


def stop(home: Path) -> int:
    """Ask the supervisor of `home` to end and wait until it has."""
    pid = home_holder(home)
    if pid is None:
        print(f"Nothing runs under {home}.")  # noqa: T201 - a command's answer
        return 0
    os.kill(pid, signal.SIGTERM)
    if not wait_until(lambda: home_holder(home) is None, STOP_SECONDS):
        raise RuntimeFault(f"Process {pid} has not ended in {STOP_SECONDS:g} s.")
    print(f"Process {pid} has ended everything under {home}.")  # noqa: T201 - a command's answer
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code, 1 for a fault that was said on stderr."""
    given = arguments().parse_args(words)
    home = given.home.absolute()
    try:
        match given.action:
            case "run":
                return supervisor.run(home, given.port)
            case "services" | "with-app":
                command = command_of(given.command)
                is_web_wanted = given.action == "with-app"
                try:
                    if is_web_wanted:
                        return supervisor.with_application(home, given.port, command)
                    return supervisor.with_services(home, command)
                except HomeInUse:
                    code = with_running(home, command, is_web_wanted=is_web_wanted)
                    if code is None:
                        raise
                    return code
            case "stop":
                return stop(home)
            case _:
                return doctor.examine(home)
    except RuntimeFault as fault:
        sys.stderr.write(f"{fault}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
