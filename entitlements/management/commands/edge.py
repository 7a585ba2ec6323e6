"""manage.py edge"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from aforo.runtime.process import child_start, group_end, has_exited
from aforo.runtime.supervisor import python_path
from entitlements.edge.agent import Agent
from entitlements.edge.centre import Centre
from entitlements.edge.server_settings import SPOOL_BYTES_MAX, ServerSettings
from entitlements.edge.store import EdgeStore
from entitlements.management.site_options import options_demand, site_options_add

RESPAWN_S = 0.5
END_S = 10.0


class Command(BaseCommand):
    help = (
        "The agent of one gateway site. Keeps the site's own Redis in step with the origin over HTTP, answers canAccess and "
        "events beside the gateway, keeps events on this disk until the origin has them, and renews leases of hard quotas. Needs "
        "no PostgreSQL. Runs until SIGTERM or Ctrl-C; what is spooled then is sent when it is started again."
    )
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        example = (
            "Example: manage.py edge --endpoint https://api.example.com --api-key sk_live_… --redis "
            "redis://127.0.0.1:6379/0 --spool /var/lib/aforo-edge. Each option is also read from the environment, as "
            "AFORO_EDGE_ENDPOINT, AFORO_EDGE_API_KEY, AFORO_EDGE_REDIS_URL and so on."
        )
        return super().create_parser(prog_name, subcommand, epilog=example, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        environ = os.environ
        site_options_add(parser)
        parser.add_argument(
            "--redis", default=environ.get("AFORO_EDGE_REDIS_URL"), help="the site's own Redis"
        )
        parser.add_argument(
            "--spool-bytes-max",
            type=int,
            default=int(environ.get("AFORO_EDGE_SPOOL_BYTES_MAX", str(SPOOL_BYTES_MAX))),
            help="beyond it events are refused with 503, never dropped; 1 GiB",
        )
        parser.add_argument(
            "--listen",
            default=environ.get("AFORO_EDGE_LISTEN", "127.0.0.1:8100"),
            help="host:port for gateways; 127.0.0.1:8100",
        )
        parser.add_argument(
            "--name",
            default=environ.get("AFORO_EDGE_NAME", socket.gethostname()),
            help="of the site; this host's",
        )

    def handle(self, **options: Any) -> None:
        options_demand(options, "endpoint", "api_key", "redis", "spool")
        host, _, port = options["listen"].rpartition(":")
        if not host or not port.isdigit():
            raise CommandError(f"--listen is host:port, and not {options['listen']!r}.")
        spool = Path(options["spool"])
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        server = ServerSettings(options["name"], options["redis"], spool, options["spool_bytes_max"])
        store = EdgeStore(options["redis"], edge=options["name"])
        agent = Agent(store, Centre(options["endpoint"], options["api_key"]), spool)
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        loops = threading.Thread(target=agent.run, args=(stop,))
        loops.start()
        self.stdout.write(f"Site {options['name']} answers on http://{options['listen']}.")
        try:
            _serve(server, host, port, stop)
        finally:
            stop.set()
            loops.join()


def _serve(server: ServerSettings, host: str, port: str, stop: threading.Event) -> None:
    """Keep the web server up until told to stop."""
    command = (
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", port, "--workers", "1",
        "--blocking-threads", "1", "--no-ws", "--log-level", "warning", "--respawn-failed-workers",
        "entitlements.edge.wsgi:application",
    )  # fmt: skip
    environment = {**os.environ, **server.environment(), "PYTHONPATH": python_path(settings.BASE_DIR)}
    while not stop.is_set():
        process = child_start(command, cwd=settings.BASE_DIR, output=sys.stderr.fileno(), env=environment)
        while not stop.wait(RESPAWN_S) and not has_exited(process):
            pass
        if not has_exited(process):
            process.send_signal(signal.SIGTERM)
            stop.wait(0)
            for _ in range(int(END_S / 0.05)):
                if has_exited(process):
                    break
                threading.Event().wait(0.05)
        group_end(process)
