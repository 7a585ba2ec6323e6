"""The tables of docs/billing/*.md, made from the code that they describe; docs/generate.py writes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

from .pipeline import STAGES, name_of
from .pipeline.invariants import INVARIANTS
from .pricing import MODELS


def stages() -> Iterable[tuple[str, ...]]:
    yield "", "stage", "does, and why it stands here", "reads", "writes"
    for number, stage in enumerate(STAGES, start=1):
        text = " ".join((stage.__doc__ or "").split())
        does = text.partition(": ")[2]
        yield str(number), f"`{name_of(stage)}`", does, _names(stage.READS), _names(stage.WRITES)


def invariants() -> Iterable[tuple[str, ...]]:
    yield ("after every stage",)
    for sentence in INVARIANTS:
        yield (sentence,)


def models() -> Iterable[tuple[str, ...]]:
    yield "model", "prices", "needs", "also knows", "example"
    for name, model in MODELS.items():
        does = " ".join((inspect.getdoc(model) or "").split()).partition(": ")[2]
        example = " ".join((inspect.getdoc(model.price) or "").split("\n\n")[-1].split())
        yield f"`{name}`", does, _names(model.NEEDS), _names(model.ALLOWS), example


def _names(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


TABLES: dict[str, Callable[[], Iterable[tuple[str, ...]]]] = {
    table.__name__: table for table in (stages, invariants, models)
}
