"""Every invoice of the golden corpus comes to the bytes that it was issued with, under the rules of then."""

from __future__ import annotations

import json

import pytest

from billing.pipeline.state import RULE_VERSIONS
from billing.proof import recompute, result

from .corpus import golden, golden_files, states

FILES = [pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in golden_files()]


@pytest.mark.promise("P49")
@pytest.mark.parametrize("path", FILES)
def test_a_sealed_invoice_recomputes_to_its_bytes(path):
    sealed, was = golden(path)
    now = result(recompute(sealed))
    # As values first: a difference is then named, and not only that there is one.
    assert json.loads(now) == json.loads(was)
    assert now == was


@pytest.mark.parametrize("path", FILES)
def test_it_is_filed_under_its_rule_version(path):
    assert json.loads(golden(path)[0])["rule_version"] == path.parent.name.removeprefix("v")


def test_every_rule_version_is_in_the_corpus():
    assert {path.parent.name.removeprefix("v") for path in golden_files()} == set(RULE_VERSIONS)


def test_everything_that_can_be_sealed_is_in_the_corpus_of_the_present_rules():
    # What is missing is written by: python -m tests.golden.corpus
    sealed = {path.stem for path in golden_files() if path.parent.name == f"v{RULE_VERSIONS[-1]}"}
    assert {name for name, _ in states()} <= sealed
