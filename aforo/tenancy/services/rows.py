"""Saving one row, with whatever its fields, its constraints or the database refuse told as a problem."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from django.contrib.postgres.constraints import ExclusionConstraint
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Model, UniqueConstraint
from psycopg.errors import CheckViolation, ExclusionViolation, UniqueViolation

from aforo.kernel.errors import Problem

from ..locks import tenant_locked

_UNIQUE_CODES = {"unique", "unique_together"}


def row_save(row: Model) -> None:
    """Validate and save.

    Raises Problem input_invalid with the sentences of each field, already_exists where the row's own name is taken,
    state_conflict where a trigger of the database refuses, with its sentence.
    """
    try:
        row.full_clean()
    except ValidationError as error:
        raise _refused(row, error) from None
    try:
        # A savepoint, so that a caller's transaction can go on to say why.
        with transaction.atomic():
            if any(isinstance(each, ExclusionConstraint) for each in row._meta.constraints):
                tenant_locked(row.tenant_id)
            row.save()
    except IntegrityError as error:
        raise _conflict(row, error) from error


def row_check(row: Model, *, exclude: Sequence[str], place: str) -> None:
    """Validate the fields of a row that is saved later. place: goes before their names, such as "tiers[1].".

    Raises Problem input_invalid.
    """
    try:
        row.clean_fields(exclude=exclude)
    except ValidationError as error:
        raise _refused(row, error, place) from None


def invalid(field: str, sentence: str) -> Problem:
    """The problem of one field: "amount", "has 3 decimal places; USD has 2."."""
    return Problem("input_invalid", f"{field} {sentence}", errors={field: [sentence]})


@contextmanager
def placed(place: str) -> Iterator[None]:
    """Tell what is refused of a row inside another at its place: amount as commitments[0].amount."""
    try:
        yield
    except Problem as problem:
        errors = problem.facts.get("errors", {})
        facts = {"errors": {f"{place}.{field}": said for field, said in errors.items()}} if errors else {}
        raise Problem(problem.code, problem.detail, **{**problem.facts, **facts}) from None


def _refused(row: Model, error: ValidationError, place: str = "") -> Problem:
    for each in error.error_dict.get(NON_FIELD_ERRORS, ()):
        if each.code in _UNIQUE_CODES:
            return _taken(row, each.params["unique_check"])
    errors = {
        "row" if field == NON_FIELD_ERRORS else place + field: sentences
        for field, sentences in error.message_dict.items()
    }
    said = "; ".join(
        " ".join(sentences) if field == "row" else f"{field}: {' '.join(sentences)}"
        for field, sentences in errors.items()
    )
    return Problem("input_invalid", said, errors=errors)


def _conflict(row: Model, error: IntegrityError) -> Exception:
    cause = error.__cause__
    if not isinstance(cause, UniqueViolation | ExclusionViolation | CheckViolation):
        return error
    # What full_clean looks up, another transaction may have made meanwhile.
    constraint = next(
        (each for each in row._meta.constraints if each.name == cause.diag.constraint_name), None
    )
    if isinstance(constraint, UniqueConstraint):
        return _taken(row, constraint.fields)
    if constraint is not None:
        sentence = str(constraint.get_violation_error_message())
        return Problem("input_invalid", sentence, errors={"row": [sentence]})
    # A trigger, which says in a sentence what it protects.
    return Problem("state_conflict", cause.diag.message_primary or str(cause))


def _taken(row: Model, fields: Iterable[str]) -> Problem:
    own = [field for field in fields if field != "tenant"]
    said = ", ".join(f"{field} {str(getattr(row, field))!r}" for field in own)
    return Problem("already_exists", f"There is a {row._meta.verbose_name} with the {said} already.")
