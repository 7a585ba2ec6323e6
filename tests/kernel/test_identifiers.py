from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from aforo.kernel.clock import clock_at
from aforo.kernel.identifiers import uuid7

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


def test_a_uuid_says_its_version_and_its_millisecond():
    with clock_at(NOON):
        made = uuid7()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == int(NOON.timestamp() * 1000)


def test_what_is_made_while_the_clock_stands_still_sorts_in_its_order():
    with clock_at(NOON):
        made = [uuid7() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == 10_000
    with clock_at(NOON + timedelta(milliseconds=1)):
        assert uuid7() > made[-1]


def test_threads_never_make_the_same_one():
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: [uuid7() for _ in range(2_000)], range(4)))
    assert len({each for part in parts for each in part}) == 8_000
    assert all(part == sorted(part) for part in parts)
