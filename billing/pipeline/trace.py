"""Explanations: how a number came to be, as data that reads and hashes the same everywhere."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from aforo.kernel.decimals import trimmed
from aforo.kernel.periods import instant_text

from .state import Explanation

Fact = str | int | Decimal | datetime


def explained(stage: str, code: str, subject: str, **facts: Fact) -> Explanation:
    """explained("rating", "tier", "api_calls", quantity=Decimal("9000.0")): its fact is ("quantity", "9000")."""
    return Explanation(stage=stage, code=f"{stage}.{code}", subject=subject, facts=texts(**facts))


def texts(**facts: Fact) -> tuple[tuple[str, str], ...]:
    """Facts as (name, text) pairs; equal numbers give equal text, so that a recomputed run explains alike."""
    return tuple((name, _text(value)) for name, value in facts.items())


def _text(value: Fact) -> str:
    if isinstance(value, Decimal):
        return trimmed(value)
    return instant_text(value) if isinstance(value, datetime) else str(value)
