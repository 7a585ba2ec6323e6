"""manage.py edge_dead"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import Progress

from entitlements.edge.centre import Centre
from entitlements.edge.dead import Busy, DeadEvents
from entitlements.edge.forwarding import key_of
from entitlements.edge.sending import Sender, Waits
from entitlements.management.site_options import options_demand, site_options_add
from metering.delivery import detail_of


class Command(BaseCommand):
    help = (
        "Events that the agent of a site has set aside because the origin could not read them: list them, or send them again "
        "(replay). What the origin takes is removed, what it refuses again stays with its new answer. Each event keeps its key, so "
        "a repetition, also after a kill, counts nothing twice. Correct an event in its file first, or remove its line to give it "
        "up. Needs no PostgreSQL and no Redis, and may run beside the agent. Ends with 1 where events stay."
    )
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        example = (
            "Example: manage.py edge_dead replay --spool /var/lib/aforo-edge --endpoint https://api.example.com --api-key "
            "sk_live_…. Those three are also read from the environment, as the agent's."
        )
        return super().create_parser(prog_name, subcommand, epilog=example, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["list", "replay"])
        site_options_add(parser)
        parser.add_argument(
            "--day",
            action="append",
            metavar="YYYY-MM-DD",
            help="only those set aside on this day (UTC); may be given more than once",
        )
        parser.add_argument("--limit", type=int, default=50, metavar="N", help="list at most N (50)")
        parser.add_argument("--json", action="store_true", help="print the answer as one JSON object")

    def handle(self, *, action: str, **options: Any) -> None:
        options_demand(options, "spool")
        dead = DeadEvents(Path(options["spool"]))
        days = _days(dead, options["day"])
        if action == "list":
            self._list(dead, days, **options)
        else:
            self._replay(dead, days, **options)

    def _list(self, dead: DeadEvents, days: Sequence[str], *, limit: int, json: bool, **_: Any) -> None:
        found = [one for day in days for one in dead.of_day(day)]
        shown = [one for one in found if one is not None][: max(0, limit)]
        broken = found.count(None)
        if json:
            self._print({"dead": shown, "count": len(found), "unreadable_lines": broken})
            return
        for one in shown:
            key = key_of(msgspec.json.decode(one.event)) or "no key"
            self.stdout.write(f"{one.at[:19]}Z  {one.status}  {key}: {detail_of(one.answer.encode())}")
        rest = f"; {len(shown):,} are shown" if len(shown) < len(found) else ""
        self.stdout.write(f"{_counted(len(found))} set aside{rest}.")
        if broken:
            self.stdout.write(
                f"{broken:,} of the lines cannot be read; correct or remove them in {dead.folder}."
            )

    def _replay(self, dead: DeadEvents, days: Sequence[str], *, json: bool, **options: Any) -> None:
        options_demand(options, "endpoint", "api_key")
        sender = Sender(Centre(options["endpoint"], options["api_key"]))
        taken = 0
        if days:
            try:
                taken = self._sent_again(dead, days, sender)
            except Busy as error:
                raise CommandError(f"{error}") from None
            except Waits as waits:
                raise CommandError(
                    f"The origin does not take them ({waits}). Repeat the command when it does: what has arrived is counted once."
                ) from None
        stay = _count(dead, days)
        if json:
            self._print({"taken": taken, "dead_letters": sender.tally.refused, "stay": stay})
        else:
            letters = (
                f", {sender.tally.refused:,} of them as dead letters there" if sender.tally.refused else ""
            )
            self.stdout.write(f"{_counted(taken)} taken by the origin{letters}; {stay:,} stay.")
        if stay:
            raise CommandError("What stays is shown by: manage.py edge_dead list")

    def _sent_again(self, dead: DeadEvents, days: Sequence[str], sender: Sender) -> int:
        console = Console(stderr=True)
        with dead.replaying(), Progress(console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("Sending again", total=_count(dead, days))
            return sum(
                dead.replay(
                    day,
                    sender,
                    on_events=lambda events: progress.advance(task, events),
                    on_pause=lambda seconds, why: console.print(
                        f"Trying again in {seconds:.1f} s ({why}).", markup=False
                    ),
                )
                for day in days
            )

    def _print(self, answer: Any) -> None:
        # Events keep every digit, which the standard library's encoder would not.
        self.stdout.write(msgspec.json.encode(answer).decode())


def _days(dead: DeadEvents, asked: Sequence[str] | None) -> list[str]:
    there = dead.days()
    for day in asked or ():
        if day not in there:
            others = f"there is {', '.join(there)}" if there else "nor on any other"
            raise CommandError(f"Nothing was set aside on {day}; {others}.")
    return [day for day in there if not asked or day in asked]


def _count(dead: DeadEvents, days: Sequence[str]) -> int:
    """How many events wait there; what the agent adds meanwhile counts, too."""
    return sum(len(dead.of_day(day)) for day in dead.days() if day in days)


def _counted(count: int) -> str:
    return f"{count:,} event{'' if count == 1 else 's'}"
