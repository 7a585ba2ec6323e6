"""EU VAT between two countries: at whose rate, or why at none. Decided in docs/decisions/0016-tax.md.

same country                                    the country's rates
other country of the EU, with a VAT number      reverse charge
other country of the EU, without one            the rates of the customer's country
from the EU to outside                          no VAT; other taxes of the table, where it has the customer's jurisdiction
"""

from __future__ import annotations

from aforo.kernel.vat import EU, vat_country

from .state import TaxProfile

REVERSE_CHARGE = "REVERSE_CHARGE"
OUT_OF_SCOPE = "OUT_OF_SCOPE"

NOTES = {
    REVERSE_CHARGE: "Reverse charge: VAT is to be accounted for by the customer (Art. 196 of Directive 2006/112/EC).",
    OUT_OF_SCOPE: "Outside the scope of EU VAT (Art. 44 and 59 of Directive 2006/112/EC).",
}


def treatment_of(profile: TaxProfile) -> str:
    """REVERSE_CHARGE, OUT_OF_SCOPE, or empty where the table's rates decide.

    A seller in DE: a customer in FR with a VAT number is reverse charge, without one is at FR's rates; one in US is out of
    scope. A number that only had its digits checked counts as one.
    """
    seller, customer = vat_country(profile.seller_country), vat_country(profile.country)
    if not seller or not customer or seller == customer:
        return ""
    if customer in EU:
        return REVERSE_CHARGE if profile.vat_number else ""
    return OUT_OF_SCOPE if seller in EU else ""
