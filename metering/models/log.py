"""The durable log's own rows: how far each shard was read, what fell back to the store, and the tally."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now


class LogPosition(models.Model):
    """Up to where a shard's log has become rows; moved in the transaction that makes the rows.

    epoch: the log's own name of itself; another epoch means another log (restored or emptied), read from its start.
    """

    shard = models.IntegerField(primary_key=True)
    epoch = models.CharField(max_length=64, blank=True)
    last_id = models.CharField(max_length=64, default="0-0")
    moved_at = models.DateTimeField(default=now)


class LogEntry(models.Model):
    """A submission that the log could not take and the store did; the writer reads and removes it.

    problem: why the writer could make nothing of an entry and set it aside for a person to look at; it says so in its
    own log too. Empty for entries that wait.
    """

    id = models.BigAutoField(primary_key=True)
    shard = models.IntegerField()
    body = models.BinaryField()
    created_at = models.DateTimeField(default=now)
    problem = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["shard", "id"], name="log_entry_shard")]


class Tally(models.Model):
    """What a tenant sent on one UTC day and what became of it, counted by the writer.

    received = accepted + duplicates + dead_letters holds on every row. A replayed dead letter is not received again:
    it moves from dead_letters to where its replay ended, on the day of its receipt.
    copies: second internal copies of one submission, which were received only once.
    """

    pk = models.CompositePrimaryKey("tenant", "day")
    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.PROTECT, related_name="+")
    day = models.DateField()
    received = models.BigIntegerField(default=0)
    accepted = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    dead_letters = models.BigIntegerField(default=0)
    late = models.BigIntegerField(default=0)
    copies = models.BigIntegerField(default=0)
