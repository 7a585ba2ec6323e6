"""Shipped tax tables: whole, and imported without changing what is there."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command

from aforo.kernel.vat import EU
from billing.models import TaxRate
from billing.services.tax import tax_rate_create
from billing.services.tax_tables import tax_table_import
from billing.tax_tables import tax_table
from tests.billing.builders import a_tenant

pytestmark = pytest.mark.django_db


def test_the_eu_table_has_one_rate_a_country_and_day():
    table = tax_table("eu")
    for on in (date(2024, 1, 1), date(2024, 12, 31), date(2025, 7, 1), date(2026, 3, 31)):
        in_force = [r for r in table.rates if r.starts_on <= on and (r.ends_on is None or on < r.ends_on)]
        assert sorted(rate.jurisdiction for rate in in_force) == sorted(EU)
    # The Directive's least standard rate is 15 %, and nobody's is above 27 %.
    assert all(15 <= rate.percent <= 27 for rate in table.rates)
    assert table.as_of == date(2025, 12, 31)


def test_what_is_missing_is_added_and_what_is_there_stays():
    tenant = a_tenant()
    mine = {"tenant": tenant, "name": "VAT", "jurisdiction": "DE"}
    tax_rate_create(**mine, percent="16", starts_on=date(2025, 1, 1), ends_on=date(2027, 1, 1))
    tax_rate_create(**{**mine, "jurisdiction": "AT"}, percent="20", starts_on=date(2020, 1, 1))
    tax_rate_create(**mine, percent="7", starts_on=date(2025, 1, 1), tax_category="books")
    done = tax_table_import(tenant=tenant, table="eu", is_inclusive=True)
    assert (done.added, done.kept) == (29, 1)
    assert done.differing == ("DE: 16 % from 2025-01-01 is yours, 19 % from 2024-01-01 the table's.",)
    assert TaxRate.objects.get(jurisdiction="FR").is_inclusive
    assert not TaxRate.objects.filter(jurisdiction="DE", percent=19).exists()
    estonian = TaxRate.objects.filter(jurisdiction="EE").order_by("starts_on")
    assert [(rate.percent, rate.ends_on) for rate in estonian] == [
        (Decimal(22), date(2025, 7, 1)),
        (Decimal(24), None),
    ]
    again = tax_table_import(tenant=tenant, table="eu")
    assert (again.added, again.kept, again.differing) == (0, 30, done.differing)


def test_the_command_says_where_the_rates_come_from():
    a_tenant()
    out = StringIO()
    call_command("tax_rates", "import", "eu", "--tenant", "acme_corp", stdout=out)
    said = out.getvalue()
    assert "European Commission" in said
    assert "as of 2025-12-31." in said
    assert "31 rates are added, 0 were there already." in said
