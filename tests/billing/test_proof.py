from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import msgspec
import pytest

from billing.pipeline import run
from billing.pipeline.state import RULE_VERSION
from billing.proof import chain_hash, recompute, result, result_hash, seal, unseal

from .pipeline.builders import D
from .pipeline.test_every_stage import FULL


@pytest.mark.promise("P49")
def test_a_sealed_input_recomputes_to_the_same_bytes():
    assert result(recompute(seal(FULL))) == result(run(FULL))


def test_a_seal_opens_to_the_input_and_seals_to_the_same_bytes():
    assert unseal(seal(FULL)) == FULL
    assert seal(unseal(seal(FULL))) == seal(FULL)
    # What the stages wrote is no part of it.
    assert seal(run(FULL)) == seal(FULL)


def test_how_a_number_is_written_changes_no_byte():
    spelled = replace(FULL, contracts=tuple(replace(c, minimum_amount=D("100.000")) for c in FULL.contracts))
    assert seal(spelled) == seal(FULL)
    assert result_hash(run(spelled)) == result_hash(run(FULL))


def test_a_seal_names_its_rule_version_and_leaves_defaults_out():
    sealed = json.loads(seal(FULL))
    assert sealed["rule_version"] == RULE_VERSION
    assert "rounding" not in sealed
    assert "percentile" not in sealed["charges"][0]


def test_what_is_no_sealed_input_is_refused():
    with pytest.raises(msgspec.DecodeError):
        recompute(b"{}")
    with pytest.raises(ValueError, match="rule version 99"):
        recompute(seal(FULL).replace(f'"rule_version":"{RULE_VERSION}"'.encode(), b'"rule_version":"99"'))


@pytest.mark.parametrize(
    "change",
    [
        {"previous": "1" * 64},
        {"input_hash": "a"},
        {"result_hash": "a"},
        {"number": "INV-2"},
        {"issued_at": datetime(2026, 4, 3, tzinfo=UTC)},
        {"due_on": date(2026, 6, 1)},
    ],
)
def test_every_part_is_in_the_chain(change):
    given = {
        "previous": "",
        "input_hash": "i",
        "result_hash": "r",
        "number": "INV-1",
        "issued_at": datetime(2026, 4, 2, tzinfo=UTC),
        "due_on": date(2026, 5, 2),
    }

    def chained(previous, **rest):
        return chain_hash(previous, **rest)

    assert chained(**given) == chained(**given)
    assert chained(**{**given, **change}) != chained(**given)
