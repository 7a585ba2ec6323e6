"""manage.py writer"""

from __future__ import annotations

import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as StoreError
from redis import RedisError

from metering.writer import Writer

# The thread that writes asks for the interpreter's lock after every answer of the store, and the one that reads ahead
# holds it for so long: with Python's 5 ms a third of the throughput is lost.
SWITCH_S = 0.0005


class Command(BaseCommand):
    help = (
        "Make rows of what the event log keeps: events, usage, dead letters. Runs until SIGTERM or Ctrl-C, then writes "
        "what has arrived and ends. A second writer of the same shard waits, and takes over when the first is gone."
    )
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        example = (
            "Example: manage.py writer --once    writes all that waits and ends, with 0 when nothing is left."
        )
        return super().create_parser(prog_name, subcommand, epilog=example, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--shard", type=int, help="one shard of LOG_SHARDS, from 0 on; without it, all of them"
        )
        parser.add_argument("--once", action="store_true", help="write all that waits, then end")

    def handle(self, *, shard: int | None, once: bool, **options: Any) -> None:
        shards = range(settings.LOG_SHARDS) if shard is None else [shard]
        if shard is not None and shard not in range(settings.LOG_SHARDS):
            raise CommandError(f"There is no shard {shard}; LOG_SHARDS is {settings.LOG_SHARDS}.")
        if once:
            self._drain(shards)
        else:
            self._run(shards)

    def _drain(self, shards: range | list[int]) -> None:
        try:
            count = sum(Writer(shard).drain() for shard in shards)
        except (StoreError, RedisError) as error:
            raise CommandError(f"Not drained: {error}") from error
        self.stdout.write(f"Written: {count} log entries. Nothing is left.")

    def _run(self, shards: range | list[int]) -> None:
        sys.setswitchinterval(SWITCH_S)
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        # A thread a shard: each has a connection of its own, and with it the shard's lock.
        with ThreadPoolExecutor(len(shards)) as pool:
            for running in [pool.submit(_run, Writer(shard, stop), stop) for shard in shards]:
                running.result()


def _run(writer: Writer, stop: threading.Event) -> None:
    try:
        writer.run()
    finally:
        # One that fails by a mistake of ours ends them all, so that whoever started the command notices.
        stop.set()
