"""The examples of docs/metering are true."""

from __future__ import annotations

import json
import re
from pathlib import Path

from metering.calculator import aggregate

from .builders import accepted

DOCS = Path(__file__).parents[2] / "docs" / "metering"
EVENTS, AGGREGATION = DOCS / "events.md", DOCS / "aggregation.md"


def test_the_examples_are_true() -> None:
    smallest = json.loads(_examples(EVENTS)[0])
    assert accepted(smallest).properties == {"endpoint": "/v1/search"}
    request, answer = _examples(AGGREGATION)
    assert aggregate(json.loads(request)) == json.loads(answer)


def _examples(path: Path) -> list[str]:
    return re.findall(r"```json\n(.*?)```", path.read_text(), re.DOTALL)
