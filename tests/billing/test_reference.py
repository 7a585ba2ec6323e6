"""What docs/billing says is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from billing import pipeline
from billing.calculators.invoice import invoice
from billing.calculators.price import price
from billing.pipeline import tax_quotes

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "billing"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.mark.parametrize(("answer", "index"), [(price, 0), (invoice, 2)])
def test_the_examples_of_the_calculators_are_true(answer, index):
    examples = [json.loads(block) for block in blocks("pricing.md", "json")]
    assert answer(examples[index]) == examples[index + 1]


def test_the_worked_example_is_the_one_that_is_run():
    (shown,) = blocks("worked_examples.md", "toml")
    assert shown == (ROOT / "tests" / "worked_examples" / "minimum_spend.toml").read_text()


def test_every_issue_is_explained():
    source = "".join(path.read_text() for path in Path(pipeline.__file__).parent.rglob("*.py"))
    raised = set(re.findall(r'severity="\w+",\s+code="(\w+)"', source)) | {
        "over_admitted",
        "quota_exceeded",
        tax_quotes.NEEDED,
    }
    explained = set(
        re.findall(
            r"^\| `(\w+)` \| (?:warning|critical|pending)", (DOCS / "pipeline.md").read_text(), re.MULTILINE
        )
    )
    assert explained == raised
