from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.cycles import Cycle
from aforo.kernel.periods import Period
from billing.pipeline.contracts import commitment_spans
from billing.pipeline.stages import commitment
from billing.pipeline.state import Commitment, Contract

from ..builders import MARCH, D, at, lines, state


def deal(code: str = "deal", term: Period = MARCH, **amounts: str) -> Contract:
    return Contract(code=code, term=term, **{f"{name}_amount": D(amount) for name, amount in amounts.items()})


def added(*contracts: Contract, used: str = "80", **fields) -> list[tuple[str, str, str]]:
    given = lines(used)
    after = commitment.run(state(lines=given, contracts=contracts, **fields)).lines
    assert after[:1] == given
    return [(line.kind, line.code, str(line.amount)) for line in after[1:]]


@pytest.mark.promise("P44", "P75")
def test_a_minimum_trues_up_and_a_maximum_caps():
    assert added(deal(minimum="100")) == [("TRUE_UP", "deal", "20.00")]
    assert added(deal(maximum="50")) == [("CAP", "deal", "-30.00")]
    assert added(deal(minimum="80", maximum="80")) == []
    assert added() == []


@pytest.mark.promise("P44")
def test_a_term_that_covers_part_of_the_month_commits_to_that_part():
    # 16 of 31 days of 310.00 are 160.00.
    half = Period(at(16), MARCH.end + timedelta(days=300))
    assert added(deal(term=half, minimum="310")) == [("TRUE_UP", "deal", "80.00")]


@pytest.mark.promise("P44")
def test_outside_its_term_a_contract_commits_to_nothing():
    ended = Period(datetime(2025, 1, 1, tzinfo=UTC), MARCH.start)
    assert added(deal(term=ended, minimum="100")) == []


def test_a_cut_period_commits_to_its_share_of_the_cycle():
    # Billed from the 16th: 16 of 31 days of 310.00.
    assert added(deal(minimum="310"), period=Period(at(16), MARCH.end)) == [("TRUE_UP", "deal", "80.00")]


def test_contracts_that_follow_each_other_add_up():
    first, second = Period(MARCH.start, at(16)), Period(at(16), MARCH.end)
    # 15 of 31 days of 31.00 and 16 of 31 of 155.00: 15.00 + 80.00.
    both = deal("a", first, minimum="31"), deal("b", second, minimum="155")
    assert added(*both) == [("TRUE_UP", "a+b", "15.00")]
    # Only one of them has a maximum, so the other's part of the month is without one.
    assert added(deal("a", first, maximum="31"), deal("b", second)) == []


def test_setup_fees_do_not_count():
    setup = tuple(replace(line, kind="SETUP_FEE") for line in lines("50"))
    after = commitment.run(state(lines=(*lines("80"), *setup), contracts=(deal(minimum="100"),)))
    assert after.lines[-1].amount == 20


MONTHS = Cycle("month", date(2026, 1, 1), UTC)
YEAR = commitment_spans(
    MONTHS, starts_at=MONTHS.boundary(0), at=MONTHS.boundary(0), period="year", true_up="quarter"
)


def paid_in_a_year(kind: str, amount: int, used: list[int]) -> list[Decimal]:
    """What each of twelve months comes to under a commitment of a year, quarterly; each is told what came before."""
    counted, settled, paid = D("0"), D("0"), []
    for month, quantity in enumerate(used):
        agreed = Commitment(
            kind=kind,
            amount=D(f"{amount}"),
            spans=YEAR,
            active=Period(YEAR[0].start, YEAR[-1].end),
            counted=counted,
            settled=settled,
        )
        whole = MONTHS.period(month)
        term = replace(deal(term=agreed.active), commitments=(agreed,))
        after = commitment.run(
            state(lines=lines(f"{quantity}"), contracts=(term,), period=whole, cycle=whole)
        ).lines
        counted += after[0].amount
        settled += sum((line.amount for line in after[1:]), D("0"))
        paid.append(sum((line.amount for line in after), D("0")))
    return paid


YEARS = st.lists(st.integers(0, 300), min_size=12, max_size=12)


@pytest.mark.promise("P44")
@given(YEARS, st.integers(0, 2400))
def test_a_year_under_a_maximum_is_the_less_of_what_is_used_and_the_maximum(used, amount):
    assert sum(paid_in_a_year("MAXIMUM", amount, used)) == min(amount, sum(used))


@pytest.mark.promise("P44")
@given(YEARS, st.integers(0, 2400))
def test_a_year_under_a_minimum_never_comes_to_less_than_is_used_or_committed(used, amount):
    paid = paid_in_a_year("MINIMUM", amount, used)
    assert min(paid) >= 0
    assert sum(paid) >= max(amount, sum(used))
    # Above that is only what the last months had no room to give back.
    if used[-1] >= amount:
        assert sum(paid) == max(amount, sum(used))
