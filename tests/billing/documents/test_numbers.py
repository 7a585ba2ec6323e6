from datetime import date
from decimal import Decimal

import pytest
from babel import Locale

from billing.documents.numbers import day_text, locale_of, money_text, number_text

US, DE, IN = Locale("en", "US"), Locale("de"), Locale("hi", "IN")


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "text"),
    [
        ("1234.5000", "USD", US, "$1,234.50"),
        ("-6.79", "USD", US, "-$6.79"),
        ("1234.50", "EUR", DE, "1.234,50\u00a0€"),
        ("2236187.00", "INR", IN, "₹22,36,187.00"),
        # No yen has cents; a Kuwaiti and an Iraqi dinar have a thousand fils, whatever Babel's table says of the latter.
        ("1235.0000", "JPY", US, "¥1,235"),
        ("1.0000", "KWD", US, "KWD1.000"),
        ("5.2500", "IQD", US, "IQD5.250"),
    ],
)
def test_money_reads_by_currency_and_locale(amount, currency, locale, text):
    assert money_text(Decimal(amount), currency, locale).replace("\u202f", "\u00a0") == text


@pytest.mark.parametrize(
    ("number", "locale", "text"),
    [
        ("22361870", US, "22,361,870"),
        ("22361870.000000", DE, "22.361.870"),
        ("0.0000025", US, "0.0000025"),
        ("0.0000025", DE, "0,0000025"),
        ("22361870", IN, "2,23,61,870"),
    ],
)
def test_a_number_keeps_all_its_places(number, locale, text):
    assert number_text(number, locale) == text
    assert number_text(Decimal(number), locale) == text


def test_a_day_reads_in_words():
    assert day_text(date(2026, 4, 2), US) == "Apr 2, 2026"
    assert day_text(date(2026, 4, 2), DE) == "02.04.2026"


@pytest.mark.parametrize("name", [None, "", "xx", "de-", "../etc", "en_US_POSIX_x_y_z"])
def test_an_unknown_locale_is_us_english(name):
    assert locale_of(name) == US


def test_a_locale_is_written_either_way():
    assert locale_of("pt-BR") == locale_of("pt_BR") == Locale("pt", "BR")
