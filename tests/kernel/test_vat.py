from __future__ import annotations

import pytest

from aforo.kernel.vat import EU, vat_country, vat_number


@pytest.mark.parametrize(
    ("country", "text", "printed"),
    [
        ("DE", "DE 136 695 976", "DE136695976"),
        ("DE", "136695976", "DE136695976"),
        ("GR", "GR094259216", "EL094259216"),
        ("GR", "el094259216", "EL094259216"),
        ("AT", "U13585627", "ATU13585627"),
        ("MC", "FR40303265045", "FR40303265045"),
        ("RO", "18547290", "RO18547290"),
        ("GB", "980 7806 84", "GB980780684"),
        ("GB", "XI980780684", "GB980780684"),
        ("CH", "CHE-107.787.577 IVA", "CHE107787577IVA"),
        ("NO", "NO 995 525 828 MVA", "NO995525828MVA"),
        # Nobody checks these.
        ("US", "12-3456789", "12-3456789"),
    ],
)
def test_a_number_is_brought_into_its_printed_form(country, text, printed):
    assert vat_number(country, text) == printed
    assert vat_number(country, printed) == printed


@pytest.mark.parametrize(
    ("country", "text"),
    [("DE", "DE136695977"), ("FR", "DE136695976"), ("DE", "13669597"), ("CH", "CHE107787578"), ("GR", "x")],
)
def test_a_number_with_a_wrong_digit_or_of_another_country_is_refused(country, text):
    with pytest.raises(ValueError, match=f"is no VAT number of {country}; check its digits and the country"):
        vat_number(country, text)


def test_some_countries_are_taxed_as_parts_of_others():
    assert [vat_country(country) for country in ("MC", "IM", "DE", "")] == ["FR", "GB", "DE", ""]
    assert len(EU) == 27
    assert not EU & {"GB", "EL", "CH", "MC"}
