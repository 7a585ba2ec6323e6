"""Refusals that several steps give, each a sentence with the same as data beside it."""

from __future__ import annotations

from aforo.kernel.errors import Refusal


def field_invalid(*errors: tuple[str, str]) -> Refusal:
    """One or more fields with a wrong value; each error is the field's name and what is wrong with it."""
    detail = "; ".join(f"{field} {what}" for field, what in errors)
    return Refusal("field_invalid", f"{detail}.", {"errors": errors_as_data(errors)})


def fields_missing(missing: tuple[str, ...], errors: tuple[tuple[str, str], ...]) -> Refusal:
    """All required fields that are missing at once, with what else is wrong."""
    facts: dict[str, object] = {"missing": list(missing)}
    if errors:
        facts["errors"] = errors_as_data(errors)
    noun = "The field" if len(missing) == 1 else "The fields"
    verb = "is" if len(missing) == 1 else "are"
    return Refusal("fields_missing", f"{noun} {', '.join(missing)} {verb} missing.", facts)


def errors_as_data(errors: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"field": field, "detail": what} for field, what in errors]
