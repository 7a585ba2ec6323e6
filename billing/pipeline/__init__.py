"""The pipeline: BillingState in, BillingState out, pure; the same for production, preview and sandbox."""

from __future__ import annotations

from .state import BillingState


def run(state: BillingState, *, until: str | None = None) -> BillingState:
    """Take the state through the stages, in order, and stop after *until* where one is named."""
    return state
