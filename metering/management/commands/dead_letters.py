"""manage.py dead_letters"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import track

from aforo.http.rendering import json_bytes
from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text
from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.models import Tenant
from metering.intake.timestamp import NoInstant, instant_of
from metering.models import DeadLetter, DeadLetterStatus
from metering.schemas import DeadLetterSerializer, DeadLetterWithPayloadSerializer
from metering.selectors.dead_letters import dead_letter_for, dead_letters_for
from metering.services.dead_letters import (
    REPLAYED_AT_ONCE,
    dead_letter_discard,
    dead_letter_replay,
    dead_letters_replay,
)

FILTERS = ("code", "status", "customer", "metric", "since", "until")


class Command(TenantCommand):
    help = (
        "Refused events: list them, show one with its payload, send them again (replay), or give them up (discard). "
        "A replay goes through the same checks at the original time of receipt; a second one changes nothing."
    )
    example = "manage.py dead_letters replay --code customer_unknown --customer cust_new"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["list", "show", "replay", "discard"])
        parser.add_argument(
            "ids", nargs="*", type=UUID, metavar="ID", help="of dead letters, as list shows them"
        )
        parser.add_argument("--code", help="only this reason, such as metric_unknown")
        parser.add_argument(
            "--status",
            choices=DeadLetterStatus.values,
            help="only this; replay and discard take NEW ones alone",
        )
        parser.add_argument("--customer", metavar="CUSTOMER_ID", help="only this customer_id, as it was sent")
        parser.add_argument("--metric", help="only this metric, as it was sent")
        parser.add_argument("--since", metavar="INSTANT", help="received from then on: 2026-03-01T00:00:00Z")
        parser.add_argument("--until", metavar="INSTANT", help="received before then")
        parser.add_argument("--limit", type=int, default=50, metavar="N", help="list at most N (50)")
        parser.add_argument("--all", action="store_true", help="replay or discard every one that is NEW")
        parser.add_argument(
            "--payload", type=Path, metavar="FILE", help="replay one as this corrected event; - reads stdin"
        )
        parser.add_argument("--reason", help="why they are discarded")

    def work(self, tenant: Tenant, *, action: str, **options: Any) -> None:
        getattr(self, f"_{action}")(tenant, **options)

    def _list(self, tenant: Tenant, **options: Any) -> None:
        if options["ids"]:
            raise CommandError("list takes filters, not ids; `show ID` prints one.")
        letters = _filtered(tenant, options)
        shown = list(letters[: max(0, options["limit"])])
        count = letters.count()
        if options["json"]:
            rows = DeadLetterSerializer(shown, many=True).data
            self._print({"dead_letters": rows, "count": count})
            return
        for letter in shown:
            about = " ".join(filter(None, (letter.customer, letter.metric, letter.idempotency_key)))
            self.stdout.write(
                f"{letter.pk}  {instant_text(letter.received_at)[:19]}Z  {letter.status:<9}  {letter.code}: {about}"
            )
        rest = f"; the latest {len(shown):,} are shown" if count > len(shown) else ""
        self.stdout.write(f"{_counted(count)}{rest}.")

    def _show(self, tenant: Tenant, **options: Any) -> None:
        for letter_id in options["ids"] or _nothing("show takes the id of a dead letter."):
            row = DeadLetterWithPayloadSerializer(dead_letter_for(tenant, letter_id)).data
            if options["json"]:
                self._print(row)
                continue
            for name, value in row.items():
                text = value if isinstance(value, str) else json_bytes(value).decode()
                self.stdout.write(f"{name:<16}{text}")

    def _replay(self, tenant: Tenant, **options: Any) -> None:
        if options["payload"] is not None:
            if len(options["ids"]) != 1:
                raise CommandError("--payload corrects one dead letter; give its id.")
            payload = _read(options["payload"])
            letters = [
                dead_letter_replay(
                    tenant=tenant, letter_id=options["ids"][0], actor=_actor(), payload=payload
                )
            ]
        elif options["ids"]:
            letters = [
                dead_letter_replay(tenant=tenant, letter_id=letter_id, actor=_actor())
                for letter_id in _tracked(options["ids"], "Replaying")
            ]
        else:
            ids = _ids(tenant, options)
            steps = dead_letters_replay(tenant=tenant, letter_ids=ids, actor=_actor())
            total = -(-len(ids) // REPLAYED_AT_ONCE)
            letters = [letter for step in _tracked(steps, "Replaying", total) for letter in step]
        self._told(letters, options)

    def _told(self, letters: Sequence[DeadLetter], options: dict[str, Any]) -> None:
        ended = Counter(letter.result.get("outcome", "left as it was") for letter in letters)
        if options["json"]:
            self._print({"replayed": DeadLetterSerializer(letters, many=True).data, "outcomes": ended})
        else:
            ends = ", ".join(f"{count:,} {outcome}" for outcome, count in ended.most_common())
            self.stdout.write(f"{_counted(len(letters))} replayed{': ' + ends if ends else ''}.")
            for letter in letters[:10]:
                if letter.status == DeadLetterStatus.NEW:
                    self.stdout.write(f"  {letter.pk}  {letter.result.get('detail') or letter.detail}")
        if letters and all(letter.status == DeadLetterStatus.NEW for letter in letters):
            raise CommandError("None could be stored.")

    def _discard(self, tenant: Tenant, **options: Any) -> None:
        if not options["reason"]:
            raise CommandError('Say why: --reason "Sent by a load test."')
        ids = options["ids"] or _ids(tenant, options)
        letters = [
            dead_letter_discard(tenant=tenant, letter_id=letter_id, reason=options["reason"], actor=_actor())
            for letter_id in _tracked(ids, "Discarding")
        ]
        if options["json"]:
            self._print({"discarded": DeadLetterSerializer(letters, many=True).data})
        else:
            self.stdout.write(f"{_counted(len(letters))} discarded.")

    def _print(self, answer: Any) -> None:
        # Payloads keep every digit, which the standard library's encoder would not.
        self.stdout.write(json_bytes(answer).decode())


def _filtered(tenant: Tenant, options: dict[str, Any]) -> Any:
    return dead_letters_for(
        tenant,
        status=options["status"],
        code=options["code"],
        customer_id=options["customer"],
        metric=options["metric"],
        start=_instant("since", options),
        end=_instant("until", options),
    )


def _ids(tenant: Tenant, options: dict[str, Any]) -> list[UUID]:
    """Those that are NEW and fit the filters; oldest first, so that events are stored in the order they came."""
    if not options["all"] and not any(options[name] for name in FILTERS):
        raise CommandError("Which ones? Give ids, filters such as --code metric_unknown, or --all.")
    fitting = _filtered(tenant, {**options, "status": DeadLetterStatus.NEW})
    return list(fitting.order_by("pk").values_list("pk", flat=True))


def _instant(name: str, options: dict[str, Any]) -> datetime | None:
    try:
        return None if options[name] is None else instant_of(options[name])
    except NoInstant as error:
        raise CommandError(f"--{name} {error}.") from None


def _read(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise CommandError(f"--payload cannot be read: {error}.") from None


def _tracked(steps: Iterable[Any], description: str, total: int | None = None) -> Iterable[Any]:
    console = Console(stderr=True)
    return track(steps, description, total=total, console=console, disable=not console.is_terminal)


def _counted(count: int) -> str:
    return f"{count:,} dead letter{'' if count == 1 else 's'}"


def _actor() -> str:
    return f"{os.environ.get('USER', 'somebody')} at manage.py"


def _nothing(sentence: str) -> Any:
    raise Problem("input_invalid", sentence)
