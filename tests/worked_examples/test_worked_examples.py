"""Every worked example of this folder comes to the invoice it expects, and is proved by its sealed input."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing.pipeline import run
from billing.proof import recompute, result_hash, seal
from sandbox.loading import state_of
from sandbox.scenario import scenario_of
from sandbox.worked_example import worked_example

PROMISES = {
    "commitment_cap_quarter": ["P44"],
    "commitment_earned_back": ["P44"],
    "commitment_prorated": ["P44"],
    "commitment_quarter": ["P44"],
    "commitments_nested": ["P44"],
    "contract_discount_first": ["P45"],
    "contract_price": ["P44"],
    "contract_price_over": ["P44"],
    "coupon_clamped": ["P45"],
    "discount_from_threshold": ["P45"],
    "dynamic": ["P16"],
    "graduated": ["P16", "P43"],
    "graduated_boundaries": ["P16", "P43", "P33"],
    "graduated_discount_wallet": ["P16", "P47"],
    "graduated_percentage": ["P16"],
    "hybrid_plan": ["P97"],
    "hybrid_wallet": ["P47"],
    "included_quota": ["P16", "P42", "P43", "P33"],
    "maximum_cap": ["P44"],
    "minimum_before_discount": ["P45"],
    "minimum_spend": ["P75"],
    "package": ["P16"],
    "per_unit": ["P16", "P42", "P33"],
    "percentage": ["P16", "P43", "P33"],
    "quota_block": ["P39"],
    "rollover_used": ["P40"],
    "stairstep": ["P16"],
    "tax_before_wallet": ["P47"],
    "tax_compound": ["P46"],
    "tax_compound_inclusive": ["P46"],
    "tax_engine": ["P46"],
    "tax_exemption": ["P46"],
    "tax_reverse_charge": ["P46"],
    "tax_rounded_once": ["P46"],
    "tax_two_inclusive": ["P46"],
    "volume_tiered": ["P16", "P43", "P33"],
}
FILES = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.promise(*PROMISES.get(path.stem, []))])
    for path in sorted(Path(__file__).parent.glob("**/*.toml"))
]


@pytest.mark.parametrize("path", FILES)
def test_it_comes_to_the_invoice_it_expects(path):
    result = worked_example(path.read_text())
    assert (result.error, result.differences) == ("", ())


@pytest.mark.parametrize("path", FILES)
def test_it_recomputes_from_its_sealed_input(path):
    state = state_of(scenario_of(path.read_text()))
    assert result_hash(recompute(seal(state))) == result_hash(run(state))


def test_every_promise_names_a_file_that_is_there():
    assert set(PROMISES) <= {path.values[0].stem for path in FILES}
