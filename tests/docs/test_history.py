"""Every proof that docs/billing/history.md names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROOF = re.compile(r"`(tests/[^`]+)`")
PROOFS = PROOF.findall((ROOT / "docs" / "billing" / "history.md").read_text())


@pytest.mark.parametrize("proof", PROOFS)
def test_a_proof_is_there(proof: str) -> None:
    path, _, name = proof.partition("::")
    file = ROOT / path
    assert file.exists()
    if name:
        defined = {
            each.name for each in ast.parse(file.read_text()).body if isinstance(each, ast.FunctionDef)
        }
        assert name in defined


def test_every_example_and_test_of_the_history_is_named() -> None:
    folder = ROOT / "tests" / "worked_examples" / "history"
    named = {proof.partition("::")[0] for proof in PROOFS}
    assert {f"tests/worked_examples/history/{path.name}" for path in folder.glob("*.toml")} <= named
    assert {f"tests/worked_examples/history/{path.name}" for path in folder.glob("test_*.py")} <= named
