"""Two versions of a rate plan, and what is different in words."""

from __future__ import annotations

import pytest

from billing.documents.version_diff import version_diff
from billing.selectors.catalog import version_before, version_for
from billing.services.catalog import product_create, rate_plan_draft, version_draft, version_publish
from tests.billing.builders import a_tenant
from tests.workspaces import meter

pytestmark = pytest.mark.django_db

BASE = {"code": "base", "name": "Base", "kind": "FEE", "model": "FLAT_RATE", "amount": "49"}
INPUT = {
    "code": "input",
    "name": "Input tokens",
    "model": "GRADUATED",
    "meter": "tokens",
    "included_units": "500000",
    "tiers": [{"up_to": "1000", "unit_price": "0.010"}, {"up_to": None, "unit_price": "0.005"}],
}


def sentences(second: list[dict], first: list[dict] | None = None) -> list[str]:
    tenant = a_tenant()
    meter(tenant, "tokens", "SUM", group_by=["model"])
    product_create(tenant=tenant, code="llm", name="LLM")
    rate_plan_draft(tenant=tenant, product="llm", code="plan", name="Plan", charges=first or [BASE, INPUT])
    version_publish(tenant=tenant, plan="plan", version=1)
    version_draft(tenant=tenant, plan="plan", charges=second)
    after = version_for(tenant, "plan", 2)
    return [change.sentence for change in version_diff(version_before(after), after)]


def test_changed_prices_and_units_are_said():
    cheaper = [{"up_to": "1000", "unit_price": "0.009"}, {"up_to": None, "unit_price": "0.005"}]
    assert sentences([BASE, {**INPUT, "included_units": "600000", "tiers": cheaper}]) == [
        "Input tokens: included: 500,000 → 600,000; tier up to 1,000: 0.01 → 0.009"
    ]


def test_another_tier_model_and_name_are_said():
    tiers = [{"up_to": "2000", "unit_price": "0.01"}, {"up_to": None, "unit_price": "0.005", "flat_fee": "5"}]
    changed = {**INPUT, "name": "Tokens", "model": "VOLUME_TIERED", "tiers": tiers}
    assert sentences([BASE, changed]) == [
        "Tokens: name: Input tokens → Tokens; model: GRADUATED → VOLUME_TIERED; tier up to 1,000: 0.01 → none; "
        "tier up to 2,000: none → 0.01; tier without end, flat fee: none → 5"
    ]


def test_added_and_removed_charges_are_said_with_their_terms():
    per_model = {
        "code": "big",
        "name": "Big model",
        "model": "PER_UNIT",
        "meter": "tokens",
        "unit_price": "0.02",
        "dimension_filters": {"model": "big"},
        "minimum_amount": "5.00",
    }
    assert sentences([{**INPUT, "position": 2}, per_model]) == [
        "Big model is added: name Big model, kind USAGE, model PER_UNIT, unit price 0.02, place on the invoice 2, "
        "meter tokens, filters model = big, minimum 5",
        "Base is removed: name Base, kind FEE, model FLAT_RATE, amount 49",
    ]


def test_terms_at_their_default_change_too():
    quota = {**INPUT, "quota_units": "10", "over_quota": "BLOCK", "rollover_periods": 2}
    assert sentences([BASE, quota]) == [
        "Input tokens: over quota: CHARGE → BLOCK; quota: none → 10; rollover periods: none → 2; "
        "rollover percent: none → 100"
    ]


def test_a_copy_is_no_change():
    assert sentences([BASE, INPUT]) == []
