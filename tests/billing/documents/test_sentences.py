"""Every explanation that a stage can give has a sentence, with the facts that the stage gives it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from babel import Locale

from billing import pipeline
from billing.documents.sentences import SENTENCES, STAGE_NAMES, sentence

US = Locale("en", "US")
PIPELINE = Path(pipeline.__file__).parent


def explanations() -> dict[str, list[set[str]]]:
    """The calls of `explained` in the pipeline's source: code (stage.* where it is computed) -> facts of each call."""
    found: dict[str, list[set[str]]] = {}
    for path in sorted(PIPELINE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "explained":
                stage, code = node.args[0], node.args[1]
                name = code.value if isinstance(code, ast.Constant) else "*"
                facts = {keyword.arg for keyword in node.keywords}
                found.setdefault(f"{stage.value}.{name}", []).append(facts)
    return found


def test_the_stages_have_the_names_that_people_see():
    assert tuple(STAGE_NAMES) == pipeline.NAMES
    assert " ".join(STAGE_NAMES.values()) == (
        "Quota Check Rollover Aggregate Allowance Rate Commit Discount Tax Route Settle"
    )


def test_no_explanation_is_without_a_sentence():
    for code in explanations():
        stage = code.partition(".")[0]
        if code.endswith("*"):
            assert any(known.startswith(f"{stage}.") for known in SENTENCES), code
        else:
            assert code in SENTENCES


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_uses_facts_that_its_stage_gives(code):
    facts = explanations()
    given = facts.get(code, facts.get(f"{code.partition('.')[0]}.*"))
    assert any(set(re.findall(r"{(\w+)}", SENTENCES[code])) <= each for each in given)


def test_numbers_are_grouped_and_words_left_alone():
    explanation = {
        "code": "rating.tier",
        "facts": [
            ["model", "GRADUATED"],
            ["tier", "2"],
            ["quantity", "12361870"],
            ["unit_price", "0.000002"],
            ["flat_fee", "0"],
            ["amount", "24.72374"],
        ],
    }
    assert sentence(explanation, US) == "GRADUATED, tier 2: 12,361,870 × 0.000002 + 0 = 24.72374."


def test_an_unknown_explanation_tells_its_facts():
    assert sentence({"code": "rating.of_tomorrow", "facts": [["units", "1000"]]}, US) == "units 1,000"
