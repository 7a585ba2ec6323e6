"""JSON read strictly: exact numbers, no key twice, bounded depth, UTF-8 and nothing else.

The standard library's decoder is used because it shows every key of an object, also one that comes twice;
it costs 1.2 microseconds an event more than decoders that silently keep the last of the two.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

from aforo.kernel.decimals import trimmed
from aforo.kernel.errors import Problem

DEPTH_MAX = 32
# 64 objects and lists for each of 10,000 events; a 10 MiB body of `{},` would otherwise take 200 MiB.
CONTAINERS_MAX = 640_000
# 100 for each of 10,000 events; a 10 MiB body of `1.5,` would otherwise take 290 MiB.
VALUES_MAX = 1_000_000

# Numbers beyond this stay text: no store keeps 10^5000, and its 5,000 digits cost a sender nothing to ask for.
_EXPONENT_MAX = 1000
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_ALL_BUT_SHAPE = bytes(set(range(256)) - set(b'[]{}"'))
_ALL_BUT_COMMAS = bytes(set(range(256)) - set(b',"'))


class KeyTwice(ValueError):
    """An object that has the same key twice; no reader may choose one of the values."""


def read_json(body: bytes) -> Any:
    """The value of a JSON text; floats become ints or Decimals of exactly the value written.

    The caller has called `check_shape` on the body, or on the whole of which it is a part.
    Raises Problem("body_unreadable") with what is wrong and where.
    """
    try:
        return _decoder.decode(body.decode())
    except UnicodeDecodeError as error:
        raise Problem("body_unreadable", f"The body is not UTF-8 (byte {error.start}).") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Problem("body_unreadable", f"The body is not valid JSON: {error.msg} ({where}).") from None
    except KeyTwice as error:
        raise Problem("body_unreadable", f"The body is ambiguous: {error}.") from None
    except ValueError:
        # What is left is the interpreter's limit on the digits of an integer.
        raise Problem("body_unreadable", "The body has an integer of more than 4,300 digits.") from None


def check_shape(body: bytes) -> None:
    """Refuse nesting that could exhaust the decoder's stack, and more values than memory is given for.

    Counts brackets outside strings without decoding, about 1 nanosecond a byte.
    Raises Problem("body_too_deep") above 32 levels, Problem("batch_too_large") above 640,000 objects and lists or
    1,000,000 values.
    """
    # Texts may be full of commas; what is outside of them is counted only where there are that many at all.
    if body.count(b",") > VALUES_MAX:
        values = _outside_texts(body, _ALL_BUT_COMMAS).count(b",")
        if values > VALUES_MAX:
            raise Problem(
                "batch_too_large",
                f"The body has more than {values:,} values; up to {VALUES_MAX:,} are read.",
                values_max=VALUES_MAX,
            )
    if body.count(b"[") + body.count(b"{") <= DEPTH_MAX:
        return
    shape = _outside_texts(body, _ALL_BUT_SHAPE)
    containers = shape.count(b"[")
    # Each pass takes away what has nothing inside: a body of depth n is empty after n passes.
    for _ in range(DEPTH_MAX):
        if b"[]" not in shape:
            break
        shape = shape.replace(b"[]", b"")
    # What is left is deeper still, or was never closed.
    if b"[]" in shape or shape.count(b"[") > DEPTH_MAX:
        raise Problem(
            "body_too_deep", f"The body is nested more than {DEPTH_MAX} levels deep.", depth_max=DEPTH_MAX
        )
    if containers > CONTAINERS_MAX:
        raise Problem(
            "batch_too_large",
            f"The body has {containers:,} objects and lists; up to {CONTAINERS_MAX:,} are read.",
            containers_max=CONTAINERS_MAX,
        )


def _outside_texts(body: bytes, unwanted: bytes) -> bytes:
    """What stands outside of strings, without the unwanted bytes, and with all brackets square."""
    if b"\\" in body:
        # Escaped backslashes first: in \\" the quote ends the string.
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    shape = body.translate(_BRACKETS, unwanted).replace(b'""', b"")
    # Every second piece between quotes is the inside of a string.
    return b"".join(shape.split(b'"')[::2])


def number_read(text: str) -> Any:
    """A JSON number that is no integer by its form: 1.50 is Decimal("1.5"), 1e3 is 1000."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if len(text) > _EXPONENT_MAX or not -_EXPONENT_MAX < number.adjusted() < _EXPONENT_MAX:
        return text
    if text[-1] != "0" and "e" not in text and "E" not in text:
        return number
    # 1.0, 1.00 and 1e0 are one value and get one form, so that a retry through another encoder is equal.
    if number == number.to_integral_value():
        return int(number)
    return Decimal(trimmed(number))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise KeyTwice(f"the key {twice[:64]!r} comes twice in one object")
    return result


def _constant(name: str) -> Any:
    raise json.JSONDecodeError(f"{name} is no JSON number", name, 0)


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=number_read, parse_constant=_constant)
