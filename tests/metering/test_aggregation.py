"""Aggregation: worked examples, and the property that order and split never matter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.decimals import EXACT
from aforo.kernel.periods import Period
from metering.aggregation import (
    EMPTY,
    IS_BUCKETABLE,
    Aggregation,
    Partial,
    Sample,
    finish,
    fold,
    fold_all,
    merge,
    nearest_rank,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
MARCH = Period(START, datetime(2026, 4, 1, tzinfo=UTC))
D = Decimal


def samples(*values: str | None) -> list[Sample]:
    """One sample an hour from the start of March; a value that is no number keeps only its text."""
    result = []
    for hour, value in enumerate(values):
        number = D(value) if value is not None and value.replace(".", "").lstrip("-").isdigit() else None
        result.append(Sample(START + timedelta(hours=hour), f"k{hour}", number, value))
    return result


def quantity(aggregation: Aggregation, items: list[Sample], **arguments: object) -> Decimal:
    keeps = aggregation not in IS_BUCKETABLE
    return finish(aggregation, fold_all(items, keeps_values=keeps), **arguments)  # type: ignore[arg-type]


@pytest.mark.promise("P41")
@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("COUNT", D(5)),
        ("SUM", D("10.5")),
        ("MAX", D("7.5")),
        ("MIN", D("-1")),
        ("AVG", D("2.625")),  # 10.5 over the four numbers, not over the five events
        ("UNIQUE", D(4)),  # 2, 7.5, -1, other
        ("LATEST", D("-1")),  # the last event has no number and is skipped
    ],
)
def test_each_aggregation_of_2_and_7_5_and_2_and_minus_1_and_a_text(
    aggregation: str, expected: Decimal
) -> None:
    items = samples("2", "7.5", "2", "-1", "other")
    assert quantity(Aggregation(aggregation), items) == expected


@pytest.mark.promise("P41")
def test_the_95th_percentile_of_1_to_20_is_the_19th() -> None:
    # 20 × 0.95 is 19 exactly; in binary floating point it is 18.999… or 19.000…1, and the answer 19 or 20.
    items = samples(*(str(n) for n in range(1, 21)))
    assert quantity(Aggregation.PERCENTILE, items, percentile=D(95)) == 19
    assert quantity(Aggregation.PERCENTILE, items, percentile=D("95.1")) == 20
    assert quantity(Aggregation.PERCENTILE, items, percentile=D(100)) == 20
    assert quantity(Aggregation.PERCENTILE, items, percentile=D("0.001")) == 1


def test_percentiles_outside_their_range_are_refused() -> None:
    for wrong in ("0", "-1", "100.1"):
        with pytest.raises(ValueError, match="percentile"):
            nearest_rank([D(1)], D(wrong))


@pytest.mark.parametrize("aggregation", list(Aggregation))
def test_an_aggregation_of_nothing_is_0(aggregation: Aggregation) -> None:
    assert finish(aggregation, EMPTY, percentile=D(95), period=MARCH) == 0


@pytest.mark.parametrize("aggregation", [a for a in Aggregation if a not in {"COUNT", "UNIQUE"}])
def test_missing_and_non_numeric_values_are_skipped(aggregation: Aggregation) -> None:
    assert quantity(aggregation, samples(None, "text", None), percentile=D(50), period=MARCH) == 0


def test_count_and_unique_skip_nothing() -> None:
    items = samples(None, "text", None, "3")
    assert quantity(Aggregation.COUNT, items) == 4
    assert quantity(Aggregation.UNIQUE, items) == 3  # no value, text, 3


def test_events_of_the_same_instant_are_ordered_by_key() -> None:
    first, second = Sample(START, "a", D(1), None), Sample(START, "b", D(2), None)
    assert quantity(Aggregation.LATEST, [second, first]) == 2
    level = quantity(Aggregation.WEIGHTED_SUM, [second, first], period=MARCH)
    assert level == 2


def test_weighted_sum_is_the_level_times_time_over_the_period() -> None:
    # A day of 24 hours: 6 h at 4 (the initial level), 12 h at 10, 6 h at 0: (24 + 120 + 0) / 24 = 6.
    day = Period(START, START + timedelta(days=1))
    steps = [
        Sample(START + timedelta(hours=18), "b", D(0), None),
        Sample(START + timedelta(hours=6), "a", D(10), None),
    ]
    assert quantity(Aggregation.WEIGHTED_SUM, steps, period=day, initial=D(4)) == 6
    assert quantity(Aggregation.WEIGHTED_SUM, [], period=day, initial=D(4)) == 4


def test_weighted_sum_looks_at_its_period_only_and_to_the_microsecond() -> None:
    second = Period(START, START + timedelta(seconds=1))
    steps = [
        Sample(START - timedelta(microseconds=1), "before", D(99), None),
        Sample(START + timedelta(microseconds=999_999), "last", D(1), None),
        Sample(START + timedelta(seconds=1), "after", D(99), None),
    ]
    assert quantity(Aggregation.WEIGHTED_SUM, steps, period=second) == D("0.000001")


def test_what_an_aggregation_needs_is_demanded() -> None:
    kept = fold_all(samples("1"), keeps_values=True)
    with pytest.raises(ValueError, match="percentile"):
        finish(Aggregation.PERCENTILE, kept)
    with pytest.raises(ValueError, match="period"):
        finish(Aggregation.WEIGHTED_SUM, kept)
    with pytest.raises(ValueError, match="without length"):
        finish(Aggregation.WEIGHTED_SUM, kept, period=Period(START, START))
    with pytest.raises(ValueError, match="did not keep"):
        finish(Aggregation.UNIQUE, fold_all(samples("1")))


def test_the_greatest_and_the_finest_quantities_add_without_loss() -> None:
    # 18 digits before the point and 28 after it are the limits of a quantity.
    great, fine = D("999999999999999999"), D("1e-28")
    partial = fold_all([Sample(START, str(n), great, None) for n in range(1000)])
    partial = fold(partial, value=fine, text=None, at=START, key="fine")
    assert finish(Aggregation.SUM, partial) == EXACT.add(great * 1000, fine)
    assert str(partial.sum) == "999999999999999999000.0000000000000000000000000001"


numbers = st.one_of(
    st.none(),
    st.decimals(min_value=-(10**17), max_value=10**17, places=6, allow_nan=False, allow_infinity=False),
)
many_samples = st.lists(
    st.builds(
        lambda offset, key, value, text: Sample(START + timedelta(seconds=offset), key, value, text),
        st.integers(0, 31 * 86_400),
        st.sampled_from("abcd"),
        numbers,
        st.one_of(st.none(), st.sampled_from(["x", "y", "1"])),
    ),
    max_size=12,
)


@pytest.mark.promise("P41")
@given(items=many_samples, data=st.data())
def test_any_order_and_any_split_give_the_same_quantity(items: list[Sample], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(items))
    parts: list[Partial] = [EMPTY, EMPTY, EMPTY]
    for item in shuffled:
        place = data.draw(st.integers(0, 2))
        parts[place] = fold(
            parts[place], value=item.value, text=item.text, at=item.at, key=item.key, keeps_values=True
        )
    one_way = merge(merge(parts[0], parts[1]), parts[2])
    other_way = merge(parts[2], merge(parts[1], parts[0]))
    at_once = fold_all(items, keeps_values=True)
    for aggregation in Aggregation:
        arguments = {"percentile": D(75), "period": MARCH, "initial": D(3)}
        expected = finish(aggregation, at_once, **arguments)  # type: ignore[arg-type]
        assert finish(aggregation, one_way, **arguments) == expected  # type: ignore[arg-type]
        assert finish(aggregation, other_way, **arguments) == expected  # type: ignore[arg-type]


@given(items=many_samples)
def test_buckets_that_keep_no_values_finish_like_events(items: list[Sample]) -> None:
    with_values, without = fold_all(items, keeps_values=True), fold_all(items)
    assert without.values == ()
    for aggregation in IS_BUCKETABLE:
        assert finish(aggregation, without) == finish(aggregation, with_values)
