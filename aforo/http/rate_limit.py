"""Rate limits: what one API key may ask in a second, told in the usual headers."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from aforo.kernel.errors import Problem
from aforo.tenancy.services.api_keys import KeyHolder

log = logging.getLogger(__name__)

# A burst of two seconds' worth lets a gateway flush what it held back without being refused.
BURST_S = 2
TIMEOUT_S = 0.05
_SOURCE = (Path(__file__).parent / "rate_limit.lua").read_text()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a key's rate. limit: requests a second. reset_s: whole seconds until the burst is full."""

    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
        }


class RateLimit:
    """Counts in the cache server, so that all processes share one count; safe between threads."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        self._script: Any = self._client.register_script(_SOURCE)

    def take(self, name: str, *, limit_per_s: int, requests: int = 1) -> Allowance | None:
        """Take requests from a bucket; None where the cache does not answer, which lets them pass.

        A limit protects from floods; an outage of the cache must not refuse usage that would be billed.
        Raises Problem rate_limited with the whole seconds to wait.
        """
        try:
            is_allowed, left, wait_ms, full_ms = self._script(
                keys=[f"aforo:rate:{name}"], args=[limit_per_s, limit_per_s * BURST_S, requests]
            )
        except redis.RedisError as error:
            log.warning("The rate limit could not be counted and lets requests pass: %s", error)
            return None
        allowance = Allowance(limit=limit_per_s, remaining=left, reset_s=math.ceil(full_ms / 1000))
        if not is_allowed:
            raise Problem(
                "rate_limited",
                f"This key may send {limit_per_s} requests a second.",
                retry_after_s=max(1, math.ceil(wait_ms / 1000)),
                limit_per_s=limit_per_s,
            )
        return allowance


_rate_limit: RateLimit | None = None


def rate_limit() -> RateLimit:
    """This process's rate limit."""
    global _rate_limit
    if _rate_limit is None:
        _rate_limit = RateLimit(settings.REDIS_URL)
    return _rate_limit


def key_rate_take(holder: KeyHolder) -> Allowance | None:
    """Take one request from the key's rate; None for a key without a limit. Raises Problem rate_limited."""
    if holder.rate_limit_per_s is None:
        return None
    return rate_limit().take(str(holder.key_id), limit_per_s=holder.rate_limit_per_s)


class KeyRate(BaseThrottle):
    """Every endpoint takes one request from the rate of the request's key."""

    def allow_request(self, request: Request, view: Any) -> bool:
        if isinstance(request.user, KeyHolder):
            # The middleware puts what is left into the answer's headers, whatever the answer is.
            request._request.rate_allowance = key_rate_take(request.user)  # type: ignore[attr-defined]
        return True
