"""The command prints PASS, or FAIL with what is different, and ends non-zero on a failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from sandbox.worked_example import worked_example

DEMO = (Path(__file__).parents[1] / "worked_examples" / "demo.toml").read_text()


def file(tmp_path, old: str = "", new: str = "") -> str:
    path = tmp_path / "example.toml"
    path.write_text(DEMO.replace(old, new) if old else DEMO)
    return str(path)


def test_a_pass(tmp_path, capsys):
    call_command("worked_example", file(tmp_path))
    assert capsys.readouterr().out.startswith("PASS ")


def test_a_failure_shows_what_is_different(tmp_path, capsys):
    with pytest.raises(CommandError, match="1 of 1 failed"):
        call_command("worked_example", file(tmp_path, 'total = "140.35"', 'total = "140.36"'))
    out = capsys.readouterr().out
    assert out.startswith("FAIL ")
    row = next(line for line in out.splitlines() if "140.36" in line)
    assert row.split("│")[1:4] == [" total  ", " 140.36   ", " 140.35 "]


def test_json_has_the_figures(tmp_path, capsys):
    call_command("worked_example", file(tmp_path), "--json")
    document = json.loads(capsys.readouterr().out)
    assert (document["verdict"], document["error"], document["differences"]) == ("PASS", None, [])
    assert document["figures"] == {
        "subtotal": "135.70",
        "commitment": "0.00",
        "discount": "6.79",
        "tax": "11.44",
        "total": "140.35",
        "wallet": "0.00",
        "due": "140.35",
    }


def test_a_file_that_is_no_scenario_fails_with_a_sentence(tmp_path, capsys):
    with pytest.raises(CommandError):
        call_command("worked_example", file(tmp_path, "title =", "tilte ="))
    assert "tilte: is unknown" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        call_command("worked_example", str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("expected", "fields"),
    [
        ('lines = [{code = "base", amount = "49.09"}]', ["lines[1]", "lines[2]", "lines[3]"]),
        (
            'lines = [{code = "base", amount = "49.09", discount = "2.46"}, {code = "in", amount = "49.72"}, '
            '{code = "output", amount = "35.89", quantity = "1"}, {code = "requests", amount = "2"}, '
            '{code = "more", amount = "1"}]',
            ["lines[1].code", "lines[2].quantity", "lines[3].amount", "lines[4]"],
        ),
        ('issues = [{code = "over_admitted"}]', ["issues[0]"]),
        ('carried_out = [{charge = "input", units = "1"}]', ["carried_out"]),
    ],
)
def test_every_difference_is_named(expected, fields):
    head, _, _ = DEMO.partition("[expected]")
    result = worked_example(f"{head}[expected]\n{expected}\n")
    assert [each.field for each in result.differences] == fields


def test_an_issue_that_nobody_expects_is_a_difference():
    result = worked_example(DEMO.replace('tax_rates = [{name = "Sales tax 8.875 %", percent = "8.875"}]', ""))
    assert [each.field for each in result.differences] == ["tax", "total", "issues"]


def test_a_number_that_is_none_is_said():
    assert worked_example(DEMO.replace('total = "22361870"', 'total = "nan"')).error != ""
