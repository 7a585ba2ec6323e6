"""The tables and examples of docs/metering are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from metering.calculator import aggregate
from metering.reference import TABLES, with_tables

from .builders import accepted

DOCS = Path(__file__).parents[2] / "docs" / "metering"
EVENTS, AGGREGATION = DOCS / "events.md", DOCS / "aggregation.md"


@pytest.mark.parametrize("path", [EVENTS, AGGREGATION], ids=lambda path: path.name)
def test_the_tables_are_up_to_date(path: Path) -> None:
    text = path.read_text()
    assert text == with_tables(text), "run: python -m metering.reference docs/metering/*.md"


def test_every_table_is_printed_somewhere() -> None:
    printed = re.findall(r"<!-- table: (\w+) -->", EVENTS.read_text() + AGGREGATION.read_text())
    assert sorted(printed) == sorted(TABLES)


def test_the_examples_are_true() -> None:
    smallest = json.loads(_examples(EVENTS)[0])
    assert accepted(smallest).properties == {"endpoint": "/v1/search"}
    request, answer = _examples(AGGREGATION)
    assert aggregate(json.loads(request)) == json.loads(answer)


def _examples(path: Path) -> list[str]:
    return re.findall(r"```json\n(.*?)```", path.read_text(), re.DOTALL)
