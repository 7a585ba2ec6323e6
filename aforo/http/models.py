"""Answers that were given, kept for a request that is sent again."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.tenancy.models import TenantRow


class GivenAnswer(TenantRow):
    """The answer to a POST with an Idempotency-Key; written in the transaction that does what was asked.

    request_hash: SHA-256 over method, address and body. body: the answer as it was sent, without what is shown once.
    """

    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.BinaryField(default=b"")
    answered_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "key"], name="given_answer_key")]
