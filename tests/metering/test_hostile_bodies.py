"""Bodies made to cost much: what is refused is refused before it costs, and what is read stays in bounds."""

from __future__ import annotations

import gzip
import json
import threading
import time
import tracemalloc
from base64 import b64encode
from typing import Any

import pytest

from aforo.kernel.errors import Problem
from metering.decoding import BODY_BYTES_MAX, decode
from metering.event import Door, Refused
from metering.intake import accept_each

from .builders import FixedDirectory, submission

MIB = 1024 * 1024
SIZE = BODY_BYTES_MAX
# 10 MiB of JSON, a million Python values of it, and what is made of them; measured at most 205 MiB.
PEAK_MAX = 256 * MIB


def filled(opening: bytes, item: bytes, closing: bytes) -> bytes:
    """10 MiB of the same item."""
    count = (SIZE - len(opening) - len(closing) - 1) // len(item)
    return opening + item * count + b"1" + closing


def firehose(content: bytes) -> bytes:
    return b'{"records":[{"data":"' + b64encode(content[: SIZE * 3 // 4 - 100]) + b'"}]}'


EVENT = b'{"metric":"api.call","customer_id":"cust_abc","x":'
BOMBS: dict[str, tuple[bytes, Door]] = {
    "numbers": (filled(EVENT + b"[", b"1,", b"]}"), "events"),
    "fractions": (filled(EVENT + b"[", b"1.5,", b"]}"), "events"),
    "a million fractions": (EVENT + b"[" + b"1.5," * 999_900 + b"1]}", "events"),
    "texts": (filled(EVENT + b"[", b'"ab",', b"]}"), "events"),
    "a million texts": (EVENT + b"[" + b'"abcdef",' * 999_900 + b"1]}", "events"),
    "objects": (filled(b"[", b"{},", b"]"), "events"),
    "objects with fractions": (b"[" + b'{"a":1.5},' * 630_000 + b"{}]", "events"),
    "keys": (EVENT + b"{" + b",".join(b'"%d":1' % n for n in range(900_000)) + b"}}", "events"),
    "a long text": (filled(EVENT + b'"', b"x", b'"}'), "events"),
    "a text of escapes": (filled(EVENT + b'"', b"\\u0041", b'"}'), "events"),
    "quotes": (filled(EVENT + b'"', b'\\"', b'"}'), "events"),
    "backslashes": (filled(EVENT + b'"', b"\\\\", b'"}'), "events"),
    "digits": (filled(EVENT, b"9", b"}"), "events"),
    "depth": (b"[" * SIZE, "events"),
    "depth in a record": (firehose(b"[" * SIZE), "firehose"),
    "objects in a record": (firehose(b"[" + b"{}," * (2 * MIB) + b"{}]"), "firehose"),
    "records": (filled(b'{"records":[', b'{"data":"e30="},', b"]}"), "firehose"),
    "lines": (b"{}\n" * (SIZE // 3), "events"),
}


@pytest.mark.slow
@pytest.mark.promise("P99")
@pytest.mark.parametrize("name", BOMBS)
def test_a_body_of_ten_mebibytes_stays_in_bounds(name: str) -> None:
    body, door = BOMBS[name]
    assert len(body) <= SIZE
    kind = "application/x-ndjson" if name == "lines" else "application/json"
    sent = submission(body, door=door, content_type=kind)
    tracemalloc.start()
    status = status_of(sent)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert status in {202, 400, 413}
    assert peak < PEAK_MAX, f"{peak // MIB} MiB"


def status_of(sent: Any) -> int:
    try:
        judged(sent)
    except Problem as problem:
        return problem.status
    return 202


def judged(sent: Any) -> list[Any]:
    return accept_each(decode(sent), sent, FixedDirectory())


@pytest.mark.promise("P99")
@pytest.mark.parametrize("name", ["depth", "depth in a record", "objects", "lines"])
def test_what_is_refused_is_refused_at_once(name: str) -> None:
    body, door = BOMBS[name]
    kind = "application/x-ndjson" if name == "lines" else "application/json"
    started = time.process_time()
    try:
        verdicts = judged(submission(body, door=door, content_type=kind))
    except Problem:
        verdicts = []
    assert all(isinstance(one, Refused) for one in verdicts)
    # Measured 0.02 to 0.2 s; ten mebibytes of events that are read take 1.5 s.
    assert time.process_time() - started < 1.5


@pytest.mark.parametrize("door", ["events", "firehose", "pubsub"])
def test_depth_cannot_exhaust_a_small_stack_at_any_door(door: Door) -> None:
    bomb = b'{"a":' * 100_000
    inside = json.dumps({"data": b64encode(bomb).decode()}).encode()
    wrapped = {"events": bomb, "firehose": b'{"records":[%b]}' % inside, "pubsub": b'{"message":%b}' % inside}
    ended: list[object] = []

    def run() -> None:
        try:
            ended.extend(judged(submission(wrapped[door], door=door)))
        except Problem as problem:
            ended.append(problem.code)

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    (end,) = ended
    assert end == "body_too_deep" or "32 levels" in end.refusal.detail


@pytest.mark.parametrize(
    ("quantity", "is_kept"),
    [
        ("1e3", True),
        ("-0", True),
        ("9223372036854775808", False),
        ("922337203685477580", True),
        ("0." + "1" * 28, True),
        ("0." + "1" * 29, False),
        ("1" * 40, False),
        ("1e400", False),
        ("1e-400", False),
        ("Infinity", False),
        ("0x10", False),
        ("1_000", False),
        ("١", False),
        (" 1", False),
        ("", False),
    ],
)
def test_quantities_are_exact_numbers_of_bounded_size(quantity: str, is_kept: bool) -> None:
    event = {"metric": "api.call", "customer_id": "cust_abc", "quantity": quantity}
    (one,) = judged(submission(event))
    assert isinstance(one, Refused) is not is_kept


@pytest.mark.parametrize("name", ["__proto__", "constructor", "", " ", "a.b", "$where", "é", "x" * 10_000])
def test_a_property_is_a_name_and_nothing_else(name: str) -> None:
    event = {"metric": "api.call", "customer_id": "cust_abc", "properties": {name: {"polluted": 1}}}
    (one,) = judged(submission(event))
    assert one.event.properties == {name: {"polluted": 1}}


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-03-15T12:00:60Z",
        "9999-12-31T23:59:59Z",
        "2026-03-15T12:00:00",
        "2026-02-30T00:00:00Z",
        2**63,
        -(2**63),
        1e300,
        True,
        {},
    ],
)
def test_times_that_are_none_are_refused(timestamp: Any) -> None:
    event = {"metric": "api.call", "customer_id": "cust_abc", "timestamp": timestamp}
    (one,) = judged(submission(event))
    assert isinstance(one, Refused)


def test_what_is_compressed_twice_is_not_unpacked_twice() -> None:
    event = {"metric": "api.call", "customer_id": "cust_abc"}
    with pytest.raises(Problem) as caught:
        judged(submission(gzip.compress(json.dumps(event).encode())))
    assert caught.value.code == "body_unreadable"
