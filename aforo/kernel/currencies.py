"""Currencies and their minor units.

Source: ISO 4217 list one (currency and funds code list). A code that is absent is refused: a guess of two
places makes a Kuwaiti invoice wrong by a factor of ten.
"""

from __future__ import annotations

_PLACES_0 = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_PLACES_2 = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
    "CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD "
    "HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP "
    "MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD "
    "SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS "
    "VED VES WST XCD YER ZAR ZMW ZWG"
)
_PLACES_3 = "BHD IQD JOD KWD LYD OMR TND"
_PLACES_4 = "CLF UYW"

MINOR_UNITS: dict[str, int] = {
    code: places
    for places, codes in ((0, _PLACES_0), (2, _PLACES_2), (3, _PLACES_3), (4, _PLACES_4))
    for code in codes.split()
}


class UnknownCurrency(ValueError):
    """A currency code that ISO 4217 does not list with a minor unit."""


def minor_units(currency: str) -> int:
    """Decimal places of the currency's minor unit: JPY 0, USD 2, KWD 3.

    Raises UnknownCurrency.
    """
    try:
        return MINOR_UNITS[currency]
    except KeyError:
        raise UnknownCurrency(f"{currency!r} is no ISO 4217 currency code with a minor unit") from None
