"""manage.py costs_import and margin_dry_run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from aforo.kernel.clock import clock_at
from entitlements.models import ImportedCost, MarginPolicy
from tests.entitlements.margins import MARCH_20, Guarded, guarded

HEADER = "customer,on,amount,currency,source,external_key\n"


@pytest.fixture
def acme(db: None) -> Guarded:
    return guarded()


def test_a_file_is_taken_once(acme: Guarded, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "costs.csv"
    file.write_text(HEADER + "cust_abc,2026-03-05,12.50,,openai,a\ncust_abc,2026-03-06,2,EUR,openai,b\n")
    call_command("costs_import", str(file), tenant="acme_corp")
    call_command("costs_import", str(file), tenant="acme_corp", json=True)
    first, second = capsys.readouterr().out.strip().splitlines()
    assert first == "2 added, 0 changed, 0 as they were."
    assert json.loads(second) == {"added": 0, "changed": 0, "same": 2}
    assert sorted(ImportedCost.objects.values_list("currency", flat=True)) == ["EUR", "USD"]


def test_a_file_with_a_wrong_line_is_not_taken_at_all(acme: Guarded, tmp_path: Path):
    file = tmp_path / "costs.csv"
    file.write_text(HEADER + "cust_abc,2026-03-05,12.50,,openai,a\ncust_abc,2026-03-06,two,,openai,b\n")
    with pytest.raises(CommandError, match=r"costs\[1\].amount"):
        call_command("costs_import", str(file), tenant="acme_corp")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("costs_import", str(tmp_path / "none.csv"), tenant="acme_corp")
    assert not ImportedCost.objects.exists()


def test_a_dry_run_lists_who_would_have_reached_a_level(acme: Guarded, capsys: pytest.CaptureFixture[str]):
    # On the 10th one event of 200,000 calls: 2,000 of revenue, 3,200 of cost; nothing comes after it.
    acme.used(200_000)
    acme.costs("0.016")
    acme.policy()
    with clock_at(MARCH_20):
        call_command("margin_dry_run", "standard", tenant="acme_corp", enforce=True)
    assert capsys.readouterr().out.splitlines() == [
        "cust_abc: up to L3, -60.0 % at the end; 0 of 1 calls refused, 0.00 USD of cost avoided",
        "1 of 1 customers would have reached a level in 30 days.",
    ]
    assert MarginPolicy.objects.get().mode == "ALERT"
    with pytest.raises(CommandError, match="No margin policy 'none'"):
        call_command("margin_dry_run", "none", tenant="acme_corp")
