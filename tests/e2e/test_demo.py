"""`make demo`: an hour of real traffic becomes an invoice that can be checked by hand, once."""

from __future__ import annotations

import json

import pytest

from tests.e2e.runs import demo

# On a busy machine each start of everything takes half a minute.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def figures(invoice: dict) -> dict[str, str]:
    lines = {line["code"]: line["amount"] for line in invoice["lines"] if line["kind"] != "DISCOUNT"}
    return lines | {name: invoice[name] for name in ("subtotal", "discount", "tax", "total")}


@pytest.mark.promise("P03", "P22", "P27")
def test_the_whole_hour_is_billed_once(tmp_path):
    # input: 10,000,000 x 0.0000025 = 25.00, 12,361,870 x 0.0000020 = 24.72374: 49.72374
    # output: (4,088,665 - 500,000) x 0.00001 = 35.88665
    # requests: 19,366 - 10,000 = 9,366, ten blocks of 1,000 begun at 0.10
    # 5 % of 135.70 is 6.785, half up 6.79; 8.875 % of 128.91 is 11.4407625.
    # A discount rounded line by line would be 2.49 + 1.79 + 0.05 + 2.45 = 6.78, and the total 140.36.
    first = demo(tmp_path / "home", "--json")
    assert first.returncode == 0, first.stderr
    answer = json.loads(first.stdout)
    assert figures(answer["invoice"]) == {
        "input": "49.72",
        "output": "35.89",
        "requests": "1.00",
        "base": "49.09",
        "subtotal": "135.70",
        "discount": "-6.79",
        "tax": "11.44",
        "total": "140.35",
    }
    quantities = {line["code"]: line["quantity"] for line in answer["invoice"]["lines"]}
    assert (quantities["input"], quantities["output"]) == ("22361870", "4088665")
    assert answer["conservation"] == {
        "received": 19366,
        "accepted": 19366,
        "duplicates": 0,
        "dead_letters": 0,
    }
    assert answer["events_stored"] == 19366

    # The same events again, to people's eyes.
    second = demo(tmp_path / "home")
    assert second.returncode == 0, second.stderr
    assert "received 19,366 = accepted 0 + duplicates 19,366 + dead letters 0" in second.stdout
    assert "19,366 events stored" in second.stdout
    assert answer["invoice_sha256"] in second.stdout
    assert "140.35" in second.stdout


def test_the_first_10000_requests_stay_within_what_is_included(tmp_path):
    # input: 25.00 + 2,424,297 x 0.0000020 = 29.848594; output: 1,684,052 x 0.00001 = 16.84052; requests: none over
    # 10,000. 29.85 + 16.84 + 0.00 + 49.09 = 95.78, less 5 % (4.789) 4.79 = 90.99, plus 8.875 % (8.0753625) 8.08.
    answer = demo(tmp_path / "home", "--json", "--rows", "10000")
    assert answer.returncode == 0, answer.stderr
    invoice = json.loads(answer.stdout)["invoice"]
    assert figures(invoice) == {
        "input": "29.85",
        "output": "16.84",
        "requests": "0.00",
        "base": "49.09",
        "subtotal": "95.78",
        "discount": "-4.79",
        "tax": "8.08",
        "total": "99.07",
    }
