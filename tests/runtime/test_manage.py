"""manage.py without any server: calculators answer, other commands say what is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
GIVEN = ("DATABASE_URL", "REDIS_URL", "LOG_REDIS_URL", "SECRET_KEY")


def manage(home: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in GIVEN}
    return subprocess.run(
        [sys.executable, ROOT / "manage.py", *words],
        env={**environment, "AFORO_HOME": str(home)},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_calculator_needs_no_server(tmp_path: Path) -> None:
    request = {"model": "PER_UNIT", "currency": "USD", "quantity": "5", "terms": {"unit_price": "0.01"}}
    answer = manage(tmp_path, "price", stdin=json.dumps(request))
    # 5 x 0.01
    assert json.loads(answer.stdout)["amount"] == "0.05"


def test_another_command_says_which_server_is_missing(tmp_path: Path) -> None:
    answer = manage(tmp_path, "verify_invoice", "--all", "--tenant", "acme_corp")
    assert answer.returncode == 1
    assert "Start them with `make run`, or set DATABASE_URL" in answer.stderr
    assert "Traceback" not in answer.stderr
