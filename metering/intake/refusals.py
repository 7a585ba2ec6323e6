"""Refusals that several steps give, each a sentence with the same as data beside it."""

from __future__ import annotations

from collections.abc import Mapping

from aforo.kernel.errors import Refusal


def field_invalid(errors: Mapping[str, str]) -> Refusal:
    """One or more fields with a wrong value: each field's name, and what is wrong with it."""
    detail = "; ".join(f"{field} {what}" for field, what in errors.items())
    return Refusal("field_invalid", f"{detail}.", {"errors": dict(errors)})


def fields_missing(missing: tuple[str, ...], errors: Mapping[str, str]) -> Refusal:
    """All required fields that are missing at once, with what else is wrong."""
    facts: dict[str, object] = {"missing": list(missing)}
    if errors:
        facts["errors"] = dict(errors)
    which = f"field {missing[0]} is" if len(missing) == 1 else f"fields {', '.join(missing)} are"
    return Refusal("fields_missing", f"The {which} missing.", facts)
