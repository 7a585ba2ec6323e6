import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.periods import Period
from billing.proration import prorated, share

JUNE = Period(datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))
UTC_ZONE = ZoneInfo("UTC")


def test_from_the_twentieth_is_eleven_of_thirty_days():
    active = Period(datetime(2026, 6, 20, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))

    assert share(JUNE, active, basis="day", zone=UTC_ZONE) == (11, 30)
    assert prorated(Decimal("30.00"), 11, 30) == Decimal("11.00")


def test_an_hour_that_daylight_saving_takes_is_not_billed_by_second():
    zone = ZoneInfo("Europe/Berlin")
    march = Period(datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC))
    second_half = Period(datetime(2026, 3, 15, 23, tzinfo=UTC), march.end)

    # 31 days less one hour: 2,674,800 s; 16 days less one hour: 1,378,800 s.
    assert share(march, second_half, basis="second", zone=zone) == (1_378_800, 2_674_800)
    assert share(march, second_half, basis="day", zone=zone) == (16, 31)


def test_outside_the_period_nothing_is_active():
    july = Period(JUNE.end, datetime(2026, 8, 1, tzinfo=UTC))

    assert share(JUNE, july, basis="day", zone=UTC_ZONE) == (0, 30)
    assert share(JUNE, july, basis="second", zone=UTC_ZONE) == (0, 30 * 86_400)


@given(st.lists(st.integers(1, 30 * 86_400 - 1), max_size=6, unique=True), st.sampled_from(["day", "second"]))
def test_parts_that_tile_a_period_add_up_to_it(cuts, basis):
    edges = [JUNE.start, *(JUNE.start + timedelta(seconds=cut) for cut in sorted(cuts)), JUNE.end]
    parts = [
        share(JUNE, Period(start, end), basis=basis, zone=UTC_ZONE)
        for start, end in itertools.pairwise(edges)
    ]

    assert sum(numerator for numerator, _ in parts) == parts[0][1]
