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
from django.db import transaction
from rich.console import Console
from rich.progress import track

from aforo.http.rendering import json_bytes
from aforo.kernel.errors import Problem
from aforo.kernel.periods import instant_text
from aforo.tenancy.management.tenant_command import TenantCommand
from aforo.tenancy.models import Tenant
from metering.intake.timestamp import NoInstant, instant_of
from metering.models import OPEN, DeadLetter, DeadLetterRun, DeadLetterRunAction, DeadLetterStatus
from metering.schemas import (
    DeadLetterPreviewSerializer,
    DeadLetterRunSerializer,
    DeadLetterSerializer,
    DeadLetterWithPayloadSerializer,
)
from metering.selectors.dead_letter_runs import letters_refused_in
from metering.selectors.dead_letters import dead_letter_for, dead_letters_for
from metering.services.dead_letter_runs import (
    LETTERS_A_STEP,
    dead_letter_run_plan,
    dead_letter_run_preview,
    dead_letter_run_start,
    dead_letter_run_work,
)
from metering.services.dead_letters import dead_letter_discard, dead_letter_replay

FILTERS = ("code", "status", "customer", "metric", "source", "since", "until")


class Command(TenantCommand):
    help = (
        "Refused and held events: list them, show one with its payload, say what a replay would do and which invoices it "
        "would touch (preview), send them again (replay), or give them up (discard). "
        "A replay goes through the same checks at the original time of receipt; a second one changes nothing."
    )
    example = "manage.py dead_letters replay --code metric_unknown --metric api.cal --to-metric api.call"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["list", "show", "preview", "replay", "discard"])
        parser.add_argument(
            "ids", nargs="*", type=UUID, metavar="ID", help="of dead letters, as list shows them"
        )
        parser.add_argument("--code", help="only this reason, such as metric_unknown")
        parser.add_argument(
            "--status",
            choices=DeadLetterStatus.values,
            help="only this; replay and discard take NEW and HELD ones alone",
        )
        parser.add_argument("--customer", metavar="CUSTOMER_ID", help="only this customer_id, as it was sent")
        parser.add_argument("--metric", help="only this metric, as it was sent")
        parser.add_argument("--source", help="only from this source, such as kong")
        parser.add_argument("--since", metavar="INSTANT", help="received from then on: 2026-03-01T00:00:00Z")
        parser.add_argument("--until", metavar="INSTANT", help="received before then")
        parser.add_argument("--limit", type=int, default=50, metavar="N", help="list at most N (50)")
        parser.add_argument("--all", action="store_true", help="replay or discard every one that waits")
        parser.add_argument(
            "--payload", type=Path, metavar="FILE", help="replay one as this corrected event; - reads stdin"
        )
        parser.add_argument(
            "--to-metric",
            default="",
            metavar="METRIC",
            help="replay as this metric, which a meter listens to",
        )
        parser.add_argument(
            "--to-customer", default="", metavar="CUSTOMER_ID", help="replay as this customer, which is there"
        )
        parser.add_argument("--reason", help="why they are discarded")

    def work(self, tenant: Tenant, *, action: str, **options: Any) -> None:
        getattr(self, f"_{action}")(tenant, **options)

    def _list(self, tenant: Tenant, **options: Any) -> None:
        if options["ids"]:
            raise CommandError("list takes filters, not ids; `show ID` prints one.")
        letters = dead_letters_for(tenant, **_filters(options))
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
        elif not options["ids"] or options["to_metric"] or options["to_customer"]:
            self._run(_planned(tenant, DeadLetterRunAction.REPLAY, options), "Replaying", options)
            return
        else:
            letters = [
                dead_letter_replay(tenant=tenant, letter_id=letter_id, actor=_actor())
                for letter_id in _tracked(options["ids"], "Replaying")
            ]
        self._told(letters, options)

    def _told(self, letters: Sequence[DeadLetter], options: dict[str, Any]) -> None:
        ended = Counter(letter.result.get("outcome", "left as it was") for letter in letters)
        if options["json"]:
            self._print({"replayed": DeadLetterSerializer(letters, many=True).data, "outcomes": ended})
        else:
            ends = ", ".join(f"{count:,} {outcome}" for outcome, count in ended.most_common())
            self.stdout.write(f"{_counted(len(letters))} replayed{': ' + ends if ends else ''}.")
            self._tell_refused([letter for letter in letters if letter.status in OPEN][:10])
        if letters and all(letter.status in OPEN for letter in letters):
            raise CommandError("None could be stored.")

    def _preview(self, tenant: Tenant, **options: Any) -> None:
        with transaction.atomic():
            preview = dead_letter_run_preview(_planned(tenant, DeadLetterRunAction.REPLAY, options))
            transaction.set_rollback(True)
        if options["json"]:
            self._print(DeadLetterPreviewSerializer(preview).data)
            return
        looked_at = f", of which the oldest {preview.looked_at:,} were looked at" if preview.is_part else ""
        self.stdout.write(f"{_counted(preview.count)}{looked_at}:")
        ends = {"accepted": preview.accepted, "duplicate": preview.duplicates, **preview.refused}
        for end, count in {**ends, "left as they are": preview.left}.items():
            if count:
                self.stdout.write(f"  {count:>9,}  {end}")
        for one in preview.touched:
            span = f"{instant_text(one.period.start)} to {instant_text(one.period.end)}"
            where = f"issued as {one.invoice}" if one.invoice else "open"
            self.stdout.write(
                f"  {one.events:>9,}  in {one.customer_id}, {one.subscription}, {span}: {where}"
            )

    def _run(self, run: DeadLetterRun, description: str, options: dict[str, Any]) -> None:
        """Go through a run here and now; where this is killed, the workers take it up."""
        tenant = run.tenant
        dead_letter_run_start(tenant=tenant, run_id=run.pk, is_queued=False)
        steps = iter(lambda: dead_letter_run_work(tenant=tenant, run_id=run.pk, steps_max=1), True)
        for _ in _tracked(steps, description, -(-run.total // LETTERS_A_STEP)):
            pass
        run.refresh_from_db()
        if options["json"]:
            self._print({"run": DeadLetterRunSerializer(run).data, "outcomes": run.outcomes})
            return
        done = "discarded" if run.action == DeadLetterRunAction.DISCARD else "replayed"
        ends = ", ".join(f"{count:,} {end}" for end, count in _most_first(run.outcomes))
        self.stdout.write(f"{_counted(run.done)} {done}{': ' + ends if ends and done == 'replayed' else ''}.")
        self._tell_refused(letters_refused_in(run)[:10])

    def _tell_refused(self, letters: Iterable[DeadLetter]) -> None:
        for letter in letters:
            self.stdout.write(f"  {letter.pk}  {letter.result.get('detail') or letter.detail}")

    def _discard(self, tenant: Tenant, **options: Any) -> None:
        if not options["reason"]:
            raise CommandError('Say why: --reason "Sent by a load test."')
        if not options["ids"]:
            self._run(_planned(tenant, DeadLetterRunAction.DISCARD, options), "Discarding", options)
            return
        letters = [
            dead_letter_discard(tenant=tenant, letter_id=letter_id, reason=options["reason"], actor=_actor())
            for letter_id in _tracked(options["ids"], "Discarding")
        ]
        if options["json"]:
            self._print({"discarded": DeadLetterSerializer(letters, many=True).data})
        else:
            self.stdout.write(f"{_counted(len(letters))} discarded.")

    def _print(self, answer: Any) -> None:
        # Payloads keep every digit, which the standard library's encoder would not.
        self.stdout.write(json_bytes(answer).decode())


def _filters(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": options["status"],
        "code": options["code"],
        "customer_id": options["customer"],
        "metric": options["metric"],
        "source": options["source"],
        "start": _instant("since", options),
        "end": _instant("until", options),
    }


def _planned(tenant: Tenant, action: DeadLetterRunAction, options: dict[str, Any]) -> DeadLetterRun:
    """A run of those that wait and fit the filters, or have the ids."""
    if not options["ids"] and not options["all"] and not any(options[name] for name in FILTERS):
        raise CommandError("Which ones? Give ids, filters such as --code metric_unknown, or --all.")
    return dead_letter_run_plan(
        tenant=tenant,
        action=action,
        actor=_actor(),
        metric_to=options["to_metric"],
        customer_to=options["to_customer"],
        reason=options["reason"] or "",
        ids=options["ids"] or None,
        **_filters(options),
    )


def _most_first(outcomes: dict[str, int]) -> list[tuple[str, int]]:
    return Counter(outcomes).most_common()


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
