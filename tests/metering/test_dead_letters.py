"""Letters as they are filed: many at once, whatever they hold, each once."""

from __future__ import annotations

import json
from time import perf_counter

import pytest

from aforo.kernel.errors import Refusal
from metering.dead_letters import letter_of, letters_file
from metering.event import Refused
from metering.models import DeadLetter
from tests.workspaces import workspace

from .rows import submission

pytestmark = pytest.mark.django_db


def letters(acme, *payloads, **changes):
    """The letters that a submission of unknown customers would become."""
    sent = submission(acme, list(payloads), **changes)
    refusal = Refusal("customer_unknown", "There is no\tcustomer\nof this name.", {"customer_id": "a\\b\tc"})
    return [
        letter_of(Refused(refusal, f"k{index}", payload, index), sent)
        for index, payload in enumerate(payloads)
    ]


def test_a_letter_is_filed_as_it_is_whatever_it_holds():
    acme = workspace()
    payload = {
        "metric": 'tab\t "quote" \\N \\.',
        "customer_id": "漢字 \U0001f600",
        "note": "a\r\nb",
        "n": 0.10,
    }

    letters_file(letters(acme, payload, source="back\\slash", mapping={"metric": "=x\\ty"}))

    row = DeadLetter.objects.get()
    assert json.loads(bytes(row.payload)) == payload
    assert row.detail == "There is no\tcustomer\nof this name."
    assert row.facts == {"customer_id": "a\\b\tc"}
    assert (row.customer, row.source) == ("", "back\\slash")
    assert row.envelope["mapping"] == {"metric": "=x\\ty"}
    assert (row.status, row.attempts, row.result, row.api_key_id) == ("NEW", 1, {}, None)


def test_an_intake_id_is_filed_once():
    acme = workspace()
    first = letters(acme, {"n": 1}, {"n": 2}, intake_id=255)
    letters_file(first)

    # Read again: the second of these has the intake id of the first one's second.
    letters_file(letters(acme, {"n": 3}, {"n": 4}, intake_id=256))

    assert sorted(row.intake_id for row in DeadLetter.objects.all()) == [255, 256, 257]
    assert [json.loads(bytes(row.payload)) for row in DeadLetter.objects.order_by("intake_id")] == [
        {"n": 1},
        {"n": 2},
        {"n": 4},
    ]


def test_ten_thousand_letters_are_filed_in_a_moment():
    acme = workspace()
    many = letters(
        acme, *({"customer_id": f"nobody_{number}", "metric": "api.call"} for number in range(10_000))
    )

    began_s = perf_counter()
    letters_file(many)
    took_s = perf_counter() - began_s

    # The ORM's own bulk insert takes as long for a tenth of them.
    few = letters(acme, *({"n": number} for number in range(1_000)))
    began_s = perf_counter()
    DeadLetter.objects.bulk_create(few, ignore_conflicts=True)
    assert took_s < 2 * (perf_counter() - began_s)
    assert DeadLetter.objects.count() == 11_000
