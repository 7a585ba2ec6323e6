"""Proof: an invoice's input sealed as bytes, so that anyone can recompute it and compare.

sealed input   canonical JSON of everything the run looked at
input hash     SHA-256 over it
result hash    SHA-256 over the canonical JSON of everything the stages wrote
chain hash     both, the number, the dates and the chain hash of the tenant's invoice before: none can be changed, moved or
               left out
"""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from aforo.kernel.canonical import canonical_json, content_hash, given_fields, sha256_hex

from .pipeline import run
from .pipeline.state import INPUTS, RESULTS, BillingState, TaxProfile


def seal(state: BillingState) -> bytes:
    """The state's input as canonical JSON; equal inputs give equal bytes, whatever the stages have written."""
    given = {name: value for name, value in given_fields(state).items() if name in INPUTS}
    # Always written: the default moves with the rules.
    return canonical_json({**given, "rule_version": state.rule_version})


def unseal(sealed: bytes) -> BillingState:
    """The state before its first stage; sealing it gives the same bytes again.

    Raises msgspec.DecodeError for bytes that are no sealed input.
    """
    return msgspec.json.decode(sealed, type=BillingState)


class _SealedTax(msgspec.Struct):
    """Of a sealed input, the tax profile alone."""

    tax_profile: TaxProfile = msgspec.field(default_factory=TaxProfile)


def sealed_tax(sealed: bytes) -> TaxProfile:
    """The tax profile of a sealed input, without reading the rest of it."""
    return msgspec.json.decode(sealed, type=_SealedTax).tax_profile


class SealedCharge(msgspec.Struct):
    """What a sealed charge was about."""

    code: str
    product: str = ""
    meter: str = ""


class _SealedCharges(msgspec.Struct):
    charges: tuple[SealedCharge, ...]


def sealed_charges(sealed: bytes) -> dict[str, SealedCharge]:
    """What each charge of a sealed input was about, by its code; reads no more than that.

    Raises msgspec.DecodeError for bytes that are no sealed input.
    """
    return {charge.code: charge for charge in msgspec.json.decode(sealed, type=_SealedCharges).charges}


def result(state: BillingState) -> bytes:
    """What the stages wrote, as canonical JSON."""
    return canonical_json({name: value for name, value in given_fields(state).items() if name in RESULTS})


def result_hash(state: BillingState) -> str:
    """SHA-256 over the result, as 64 hexadecimal digits."""
    return sha256_hex(result(state))


def chain_hash(
    previous: str, *, input_hash: str, result_hash: str, number: str, issued_at: datetime, due_on: date
) -> str:
    """The hash that joins an issued invoice to the tenant's one before it (empty for the first)."""
    return content_hash(
        {
            "previous": previous,
            "input_hash": input_hash,
            "result_hash": result_hash,
            "number": number,
            "issued_at": issued_at,
            "due_on": due_on,
        }
    )


def recompute(sealed: bytes) -> BillingState:
    """Run a sealed input again; its result hash equals the stored one, or something was changed.

    Raises msgspec.DecodeError, and ValueError for a rule version that this engine does not have.
    """
    return run(unseal(sealed))
