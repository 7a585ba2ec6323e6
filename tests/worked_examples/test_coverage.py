"""The worked examples use all that the product can price: each model, each aggregation, each key of the format."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from billing.pricing import MODELS
from metering.aggregation import Aggregation
from sandbox.scenario import Scenario, Table

FILES = sorted(Path(__file__).parent.glob("**/*.toml"))
EXAMPLES = [tomllib.loads(path.read_text()) for path in FILES]
# Said for people; nothing is priced by it.
WORDS = {"code", "name", "id", "about", "title", "unit"}


def keys_of(table: type[Table], path: str = "") -> dict[str, set[str]]:
    """Every key of a table and the tables in it, by path: plan.charges -> {code, model, …}."""
    found = {path: set()}
    for field in msgspec.structs.fields(table):
        inner = [each for each in _types(field.type) if isinstance(each, type) and issubclass(each, Table)]
        for each in inner:
            found |= keys_of(each, f"{path}.{field.name}".lstrip("."))
        if not inner:
            found[path].add(field.name)
    return found


def _types(hint: Any) -> list[Any]:
    arguments = getattr(hint, "__args__", ())
    return [hint, *(each for argument in arguments for each in _types(argument))]


def used_keys(value: Any, path: str = "") -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    if isinstance(value, list):
        for each in value:
            for inner, keys in used_keys(each, path).items():
                found.setdefault(inner, set()).update(keys)
    elif isinstance(value, dict):
        found[path] = set(value)
        for name, each in value.items():
            for inner, keys in used_keys(each, f"{path}.{name}".lstrip(".")).items():
                found.setdefault(inner, set()).update(keys)
    return found


def test_every_key_of_the_format_is_used_in_an_example():
    used = used_keys(EXAMPLES)
    unused = {
        f"{path}.{key}".lstrip(".")
        for path, keys in keys_of(Scenario).items()
        for key in keys - WORDS - used.get(path, set())
    }
    assert unused == set()


def test_every_model_and_every_aggregation_has_an_example():
    models = {charge["model"] for example in EXAMPLES for charge in example["plan"]["charges"]}
    assert set(MODELS) == models
    aggregations = {
        meter.get("aggregation", "SUM") for example in EXAMPLES for meter in example.get("meters", ())
    }
    assert {each.value for each in Aggregation} == aggregations
