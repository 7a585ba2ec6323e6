"""Whose VAT, between two countries."""

from __future__ import annotations

import pytest

from billing.pipeline.state import TaxProfile
from billing.pipeline.vat import treatment_of

NUMBER = "FR40303265045"


@pytest.mark.promise("P46")
@pytest.mark.parametrize(
    ("seller", "customer", "vat_number", "treatment"),
    [
        # At home, with or without a number.
        ("DE", "DE", "DE136695976", ""),
        ("DE", "DE", "", ""),
        # Elsewhere in the EU: a business accounts for it itself, a consumer pays its own country's.
        ("DE", "FR", NUMBER, "REVERSE_CHARGE"),
        ("DE", "FR", "", ""),
        ("DE", "GR", "EL094259216", "REVERSE_CHARGE"),
        # From outside into the EU it is the same.
        ("US", "FR", NUMBER, "REVERSE_CHARGE"),
        ("US", "FR", "", ""),
        # Out of the EU there is none; between others the table decides.
        ("DE", "US", "", "OUT_OF_SCOPE"),
        ("DE", "CH", "CHE107787577IVA", "OUT_OF_SCOPE"),
        ("US", "US", "", ""),
        ("US", "CH", "", ""),
        # Monaco is France's, the Isle of Man and Northern Ireland (for services) are the United Kingdom's.
        ("FR", "MC", NUMBER, ""),
        ("DE", "MC", NUMBER, "REVERSE_CHARGE"),
        ("GB", "IM", "", ""),
        ("IE", "GB", "GB980780684", "OUT_OF_SCOPE"),
        # A country that is not known decides nothing.
        ("", "FR", NUMBER, ""),
        ("DE", "", "", ""),
    ],
)
def test_the_two_countries_decide(seller, customer, vat_number, treatment):
    profile = TaxProfile(seller_country=seller, country=customer, vat_number=vat_number)
    assert treatment_of(profile) == treatment
