"""The arrows of docs/architecture.md: each contract holds, and each one breaks when it is violated."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("aforo", "metering", "entitlements", "billing", "sandbox", "gateways")

# contract -> (file to add, the import that must not be)
VIOLATIONS = {
    "arrows": ("metering/planted.py", "import billing.burn"),
    "layers": ("metering/selectors/planted.py", "import metering.services"),
    "pure": ("metering/intake/planted.py", "import django.db"),
    "stages": ("billing/pipeline/stages/planted.py", "from billing.pipeline.stages import tax"),
    "models-metering": ("billing/planted.py", "import metering.models"),
    "models-entitlements": ("billing/planted.py", "import entitlements.models"),
    "models-billing": ("sandbox/planted.py", "import billing.models"),
    "cycles": ("metering/planted.py", "import metering.planted_too"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages and their contracts in a folder where violations can be planted."""
    folder = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-cache", *words], cwd=folder, capture_output=True, text=True, check=False
    )


def contracts() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [contract["id"] for contract in settings["tool"]["importlinter"]["contracts"]]


def test_every_contract_holds(copy: Path) -> None:
    answer = lint(copy)
    assert answer.returncode == 0, answer.stdout


def test_every_contract_has_a_violation_to_try() -> None:
    assert sorted(VIOLATIONS) == sorted(contracts())


@pytest.mark.promise("P81")
@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_planted_violation_breaks_its_contract(copy: Path, contract: str) -> None:
    name, line = VIOLATIONS[contract]
    planted = [copy / name]
    planted[0].write_text(f"{line}\n")
    if contract == "cycles":
        planted.append(copy / "metering/planted_too.py")
        planted[1].write_text("import metering.planted\n")
    try:
        answer = lint(copy, "--contract", contract)
    finally:
        for path in planted:
            path.unlink()
    assert answer.returncode == 1, answer.stdout
    assert "BROKEN" in answer.stdout
    assert "planted" in answer.stdout
