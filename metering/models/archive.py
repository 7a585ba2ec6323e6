"""Archived events: which file holds a tenant's events of a month."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.tenancy.models import TenantRow


class ArchiveFile(TenantRow):
    """Events of one tenant and month (UTC) that are no rows any more; written in the transaction that dropped them.

    month: its first day. path: inside ARCHIVE_DIR. sha256: of the file, in hexadecimal.
    """

    month = models.DateField()
    path = models.CharField(max_length=255, unique=True)
    rows = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    archived_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "metering_archive_file"
        indexes = [models.Index(fields=["tenant", "month"], name="archive_month")]

    def __str__(self) -> str:
        return self.path
