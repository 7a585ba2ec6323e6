"""What a window costs: counted usage at the rates in force, and imports."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from aforo.kernel.canonical import canonical_json
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from entitlements.models import MarginPolicy
from entitlements.selectors.margin_figures import costs_of, window_at
from entitlements.services.margins import cost_rate_create, cost_rate_end, cost_row, costs_import
from metering.models import Bucket
from tests.workspaces import Workspace, customer, meter, workspace

D = Decimal
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
MARCH = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))


@pytest.fixture
def acme(db: None) -> Workspace:
    made = workspace()
    meter(made.tenant, "llm.tokens", "SUM", group_by=["model", "region"])
    return made


def tokens(acme: Workspace, quantity: int, at: datetime, **dimensions: str) -> None:
    row = meter_of(acme)
    Bucket.objects.create(
        tenant=acme.tenant,
        customer=acme.customer,
        meter=row,
        hour=at,
        dimensions=canonical_json(dimensions).decode(),
        count=1,
        value_count=1,
        sum=D(quantity),
    )


def meter_of(acme: Workspace):
    return type(acme.meter).objects.get(tenant=acme.tenant, key="llm.tokens")


def rate(acme: Workspace, unit_cost: str, starts_at: datetime = JANUARY, **fields):
    fields = {"meter": "llm.tokens", **fields}
    return cost_rate_create(
        tenant=acme.tenant, actor="ada", unit_cost=D(unit_cost), starts_at=starts_at, **fields
    )


def spent(acme: Workspace, *windows: Period, by=None) -> list[dict[str, Decimal]]:
    (found,) = costs_of(acme.tenant, [(by or acme.customer, windows)])
    return found


def test_the_rate_that_names_most_counts_and_the_rest_goes_to_the_general_one(acme: Workspace):
    at = datetime(2026, 3, 10, 9, tzinfo=UTC)
    tokens(acme, 1_000_000, at, model="gpt-4o", region="eu")
    tokens(acme, 2_000_000, at, model="gpt-4o", region="us")
    tokens(acme, 4_000_000, at, model="small", region="us")
    rate(acme, "0.0000001")
    rate(acme, "0.0000025", dimensions={"model": "gpt-4o"})
    rate(acme, "0.000003", dimensions={"model": "gpt-4o", "region": "eu"})
    # 1 M at 3.00 a million, 2 M at 2.50, 4 M at 0.10: 3.00 + 5.00 + 0.40.
    assert spent(acme, MARCH) == [{"USD": D("8.4")}]


def test_a_rate_counts_for_the_hours_in_which_it_is_in_force(acme: Workspace):
    change = datetime(2026, 3, 10, 9, tzinfo=UTC)
    for hour in (8, 9):
        tokens(acme, 1000, change.replace(hour=hour), model="a", region="eu")
    first = rate(acme, "1")
    cost_rate_end(tenant=acme.tenant, actor="ada", rate_id=first.pk, ends_at=change)
    rate(acme, "2", change)
    assert spent(acme, MARCH) == [{"USD": D(3000)}]
    # Windows that follow each other share nothing and lose nothing.
    days = [
        Period(datetime(2026, 3, day, tzinfo=UTC), datetime(2026, 3, day + 1, tzinfo=UTC)) for day in (9, 10)
    ]
    assert spent(acme, *days) == [{}, {"USD": D(3000)}]


def row(amount: str = "5.00", on: str = "2026-03-31", **fields: str) -> dict[str, object]:
    texts = {"customer": "cust_abc", "on": on, "amount": amount, "source": "cloud", "external_key": "k1"}
    return cost_row({**texts, **fields})


def test_an_imported_figure_counts_once_with_what_was_said_last(acme: Workspace):
    def take(*rows):
        done = costs_import(tenant=acme.tenant, actor="ada", rows=rows)
        return done.added, done.changed, done.same

    assert take(row(), row("2.00", external_key="k2")) == (2, 0, 0)
    assert take(row(), row("3.00", external_key="k2"), row("1.00", currency="EUR", external_key="k3")) == (
        *(1, 1, 1),
    )
    assert spent(acme, MARCH) == [{"USD": D(8), "EUR": D(1)}]
    # Named twice in one file, the later line counts.
    assert take(row("7.00", external_key="k4"), row("6.00", external_key="k4")) == (1, 1, 0)


def test_a_day_belongs_to_the_window_in_which_it_begins_at_the_customers(acme: Workspace):
    tokyo = customer(acme.tenant, "tokyo", timezone="Asia/Tokyo")
    costs_import(tenant=acme.tenant, actor="ada", rows=[row(customer="tokyo", on="2026-03-01")])
    # 1 March begins in Tokyo on 28 February at 15:00Z.
    assert spent(acme, MARCH, by=tokyo) == [{}]


def test_nothing_of_a_refused_import_is_kept(acme: Workspace):
    with pytest.raises(Problem, match="no customer") as refused:
        costs_import(tenant=acme.tenant, actor="ada", rows=[row(), row(customer="nobody", external_key="k2")])
    assert list(refused.value.facts["errors"]) == ["costs[1].customer"]
    assert spent(acme, MARCH) == [{}]


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        ({"amount": "five"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"on": "31.3."}, "on"),
        ({"source": ""}, "source"),
    ],
)
def test_a_line_that_is_none_says_which_column(texts: dict[str, str], field: str):
    with pytest.raises(Problem) as refused:
        row(**texts)
    assert list(refused.value.facts["errors"]) == [field]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"dimensions": {"color": "red"}}, "names color; llm.tokens keeps: model, region"),
        ({"dimensions": {"model": 4}}, "has a value that is no text"),
        ({"meter": "peak"}, "is MAX; only what is counted or summed"),
    ],
)
def test_a_rate_that_could_not_count_is_refused(acme: Workspace, fields: dict, sentence: str):
    meter(acme.tenant, "peak", "MAX")
    with pytest.raises(Problem, match=sentence):
        rate(acme, "1", **fields)


def test_a_window_of_days_includes_the_present_one(acme: Workspace):
    week = MarginPolicy(tenant=acme.tenant, window="DAYS", window_days=7)
    noon = datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert window_at(week, acme.customer, [], noon) == Period(datetime(2026, 3, 4, tzinfo=UTC), noon)
    # A customer without a subscription has calendar months.
    month = MarginPolicy(tenant=acme.tenant)
    assert window_at(month, acme.customer, [], noon) == Period(MARCH.start, noon)
