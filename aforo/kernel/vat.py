"""VAT: whose VAT a country belongs to, and what the numbers of its taxpayers look like.

Numbers are checked by format and check digits alone; whether one is registered only a tax authority can say.
"""

from __future__ import annotations

from stdnum import get_cc_module
from stdnum.exceptions import ValidationError

EU = frozenset(
    [
        "AT",
        "BE",
        "BG",
        "CY",
        "CZ",
        "DE",
        "DK",
        "EE",
        "ES",
        "FI",
        "FR",
        "GR",
        "HR",
        "HU",
        "IE",
        "IT",
        "LT",
        "LU",
        "LV",
        "MT",
        "NL",
        "PL",
        "PT",
        "RO",
        "SE",
        "SI",
        "SK",
    ]
)
CHECKED = EU | {"GB", "CH", "NO"}
# Taxed as parts of another country (Directive 2006/112/EC, Art. 7). Northern Ireland is GB: it follows the EU for goods only.
_PARTS = {"MC": "FR", "IM": "GB"}
# What a number begins with, where that is not the country's code.
_PREFIXES = {"GR": "EL"}


def vat_country(country: str) -> str:
    """The country whose VAT is due there: MC is FR, IM is GB, every other is itself."""
    return _PARTS.get(country, country)


def vat_number(country: str, text: str) -> str:
    """The number as it is printed, with its country's prefix and without spaces.

    country: ISO 3166 code of the taxpayer's country; outside CHECKED the text is taken as it is.
    Raises ValueError with the rest of a sentence that begins with the number.

    vat_number("DE", "136 695 976") is DE136695976; vat_number("GR", "GR094259216") is EL094259216.
    """
    country = vat_country(country)
    if country not in CHECKED:
        return "".join(text.split()).upper()
    module = get_cc_module(country, "vat")
    if module is None:
        raise RuntimeError(f"nobody checks numbers of {country}, which CHECKED has")
    try:
        compact = module.validate(text)
    except ValidationError:
        raise ValueError(f"is no VAT number of {country}; check its digits and the country") from None
    prefix = _PREFIXES.get(country, country)
    # Some compact forms keep it: CHE107787577IVA.
    return compact if compact.startswith(prefix) else prefix + compact
