"""Contracts in force: which terms meet the billed period, and in which part of it."""

from __future__ import annotations

from collections.abc import Iterable

from aforo.kernel.periods import Period

from .state import Contract


def in_force(contracts: Iterable[Contract], period: Period) -> tuple[tuple[Contract, Period], ...]:
    """(contract, overlap) for each contract whose term meets the period, in order of time."""
    met = [(contract, contract.term.overlap(period)) for contract in contracts]
    found = [(contract, overlap) for contract, overlap in met if overlap is not None]
    return tuple(sorted(found, key=lambda each: (each[1].start, each[0].code)))
