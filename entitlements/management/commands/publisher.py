"""manage.py publisher"""

from __future__ import annotations

import gc
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as StoreError
from redis import RedisError

from entitlements.edge.central import central_leases_keep
from entitlements.edge.publisher import Publisher


class Command(BaseCommand):
    help = (
        "Publish to the edge who may use what and how much is left: compile what changed, bring the central site's Redis up to "
        "it, repair both every 30 s, and renew the site's leases of hard quotas. Runs until SIGTERM or Ctrl-C. A second publisher waits, and takes over when the first "
        "is gone."
    )
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        example = "Example: manage.py publisher --once    makes every record anew, fills the central site, and ends."
        return super().create_parser(prog_name, subcommand, epilog=example, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="publish everything once, then end")

    def handle(self, *, once: bool, **options: Any) -> None:
        # What is there now stays, and rows come and go by the thousand: walking through all of it time and again for what
        # could be collected took a third of the processor time of a compilation.
        gc.freeze()
        gc.set_threshold(20_000, 20, 100)
        if once:
            self._once()
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        leases = threading.Thread(target=central_leases_keep, args=(stop,), daemon=True)
        leases.start()
        Publisher(stop).run()
        leases.join(timeout=5)

    def _once(self) -> None:
        try:
            is_published = Publisher().publish()
        except (StoreError, RedisError) as error:
            raise CommandError(f"Not published: {error}") from error
        if not is_published:
            raise CommandError("Another publisher works, and does this already.")
        self.stdout.write("Published. The central site has every record.")
