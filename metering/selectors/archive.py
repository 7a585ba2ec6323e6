"""What of a tenant's events lies in the archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from django.db.models import QuerySet

from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, month_later
from aforo.tenancy.models import Tenant

from ..models import ArchiveFile

# Of a period the end is no part.
INSTANT = timedelta(microseconds=1)


def archive_files_for(tenant: Tenant) -> QuerySet[ArchiveFile]:
    return ArchiveFile.objects.of(tenant).order_by("month", "path")


def archive_demand_rows(tenant: Tenant, pieces: Iterable[Period]) -> None:
    """Raises Problem events_archived where events of these periods are no rows any more: a sum would lack them."""
    months = {month for piece in pieces for month in _months_of(piece)}
    found = archive_files_for(tenant).filter(month__in=months).first() if months else None
    if found is not None:
        raise archived(found)


def archive_demand_row(tenant: Tenant, at: datetime) -> None:
    """The same for one event, by its time."""
    found = archive_files_for(tenant).filter(month=_month_of(at)).first()
    if found is not None:
        raise archived(found)


def archived(file: ArchiveFile) -> Problem:
    """Says where the events of a month are, and what brings them back."""
    month = f"{file.month:%Y-%m}"
    return Problem(
        "events_archived",
        f"Events of {month} lie in the archive, in {file.path}; `manage.py archive restore {month}` brings them back.",
        month=month,
        path=file.path,
    )


def _months_of(piece: Period) -> Iterator[date]:
    month, last = _month_of(piece.start), _month_of(piece.end - INSTANT)
    while month <= last:
        yield month
        month = month_later(month, 1)


def _month_of(at: datetime) -> date:
    return at.astimezone(UTC).date().replace(day=1)
