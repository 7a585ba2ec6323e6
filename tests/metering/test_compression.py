import gzip
import json
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import lz4.frame
import pytest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.errors import Problem
from metering.compression import FRAMES_MAX, PIECE_BYTES, RATIO_FREE_BYTES, decompress, decompressed, zstd
from metering.decoding import BODY_BYTES_MAX

MIB = 1024 * 1024
LIMIT = BODY_BYTES_MAX

# Without a time of its own, so that every test process names the cases alike.
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, mtime=0),
    "zstd": zstd.compress,
    "lz4": lz4.frame.compress,
}
every_encoding = pytest.mark.parametrize("encoding", COMPRESS)


def refusal_of(body: bytes, encoding: str | None, limit: int = LIMIT) -> str:
    with pytest.raises(Problem) as caught:
        decompress(body, encoding, limit)
    return caught.value.code


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
def test_no_encoding_leaves_a_body_as_it_is(encoding: str | None) -> None:
    assert decompress(b"abc", encoding, LIMIT) == b"abc"
    assert refusal_of(b"abc", encoding, limit=2) == "body_too_large"


@every_encoding
def test_a_body_is_read_whatever_its_frames(encoding: str) -> None:
    pack = COMPRESS[encoding]
    assert decompress(pack(b"abc"), encoding.upper(), LIMIT) == b"abc"
    assert decompress(pack(b""), encoding, LIMIT) == b""
    assert decompress(pack(b"abc") + pack(b"") + pack(b"def"), encoding, LIMIT) == b"abcdef"
    assert decompress(pack(b"x") * FRAMES_MAX, encoding, LIMIT) == b"x" * FRAMES_MAX


@every_encoding
@pytest.mark.parametrize("length", [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_a_body_that_ends_with_a_piece_is_whole(encoding: str, length: int) -> None:
    body = bytes(i % 251 for i in range(length))
    assert decompress(COMPRESS[encoding](body), encoding, LIMIT) == body


@every_encoding
def test_a_body_is_the_same_in_any_chunks(encoding: str) -> None:
    body = json.dumps([{"id": number} for number in range(2_000)]).encode()
    packed = COMPRESS[encoding](body) + COMPRESS[encoding](b" ")
    for size in (1, 7, 1_000):
        chunks = [packed[start : start + size] for start in range(0, len(packed), size)]
        assert b"".join(decompressed(chunks, encoding, LIMIT)) == body + b" "


@every_encoding
def test_the_limit_is_exact_over_all_frames(encoding: str) -> None:
    pack = COMPRESS[encoding]
    assert len(decompress(pack(b"a" * 1000), encoding, 1000)) == 1000
    assert refusal_of(pack(b"a" * 1001), encoding, 1000) == "body_too_large"
    assert refusal_of(pack(b"a" * 600) * 2, encoding, 1000) == "body_too_large"


@pytest.mark.promise("P99")
@every_encoding
def test_a_bomb_is_cut_off_before_it_fills_memory(encoding: str) -> None:
    bomb = COMPRESS[encoding](bytes(256 * MIB))
    tracemalloc.start()
    with pytest.raises(Problem) as caught:
        decompress(bomb, encoding, LIMIT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Told by its growth, before the limit of 10 MiB. 256 MiB stay unread; what is held is less than the limit.
    assert caught.value.facts == {"ratio_max": 100}
    assert peak < LIMIT


@every_encoding
def test_a_batch_of_equal_events_is_no_bomb(encoding: str) -> None:
    # Their keys are in the header; zstd shrinks them five-thousandfold.
    body = b'{"metric":"api.call","customer_id":"cust_abc","endpoint":"/v1/search"}\n' * 10_000
    assert len(body) < RATIO_FREE_BYTES
    assert decompress(COMPRESS[encoding](body), encoding, LIMIT) == body


@every_encoding
@pytest.mark.parametrize(
    "broken",
    [
        lambda packed: b"",
        lambda packed: b"nothing of the kind",
        lambda packed: packed[:-1],
        lambda packed: packed[:5],
        lambda packed: packed + b"trailing",
        lambda packed: packed + b"\x00",
        lambda packed: packed + packed[:-1],
        lambda packed: zlib.compress(b"abc"),
    ],
)
def test_what_is_broken_or_goes_on_is_refused(encoding: str, broken: Callable[[bytes], bytes]) -> None:
    assert refusal_of(broken(COMPRESS[encoding](b"abcabcabc")), encoding) == "encoding_broken"


@every_encoding
def test_empty_frames_without_end_are_refused(encoding: str) -> None:
    assert refusal_of(COMPRESS[encoding](b"") * (FRAMES_MAX + 1), encoding) == "encoding_broken"


def test_a_checksum_counts() -> None:
    packed = COMPRESS["gzip"](b"abc")
    assert refusal_of(packed[:-8] + bytes(8), "gzip") == "encoding_broken"
    framed = lz4.frame.compress(b"abc" * 100, content_checksum=True)
    assert refusal_of(framed[:-1] + bytes([framed[-1] ^ 1]), "lz4") == "encoding_broken"


def test_lz4_that_lies_about_its_size_is_refused() -> None:
    # The size stands in bytes 6 to 13 and is covered by the header's checksum, byte 14.
    packed = lz4.frame.compress(b"abc" * 100, store_size=True)
    assert refusal_of(packed[:6] + (2**40).to_bytes(8, "little") + packed[14:], "lz4") == "encoding_broken"


def test_zstd_that_demands_much_memory_is_refused() -> None:
    # A window of 128 MiB; HTTP allows 8 MiB.
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    packed = compressor.compress(b"abc") + compressor.flush()
    assert refusal_of(packed, "zstd") == "encoding_broken"


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd,lz4", "x" * 1000])
def test_other_and_nested_encodings_are_refused_by_name(encoding: str) -> None:
    assert refusal_of(b"", encoding) == "encoding_unsupported"


@given(st.sampled_from(sorted(COMPRESS)), st.binary(max_size=100), st.integers(0, 30))
def test_any_bytes_are_read_or_broken(encoding: str, noise: bytes, kept: int) -> None:
    for body in (noise, COMPRESS[encoding](b"x" * 60)[:kept] + noise):
        assert code_or_length(body, encoding) in {"encoding_broken", "body_too_large", *range(51)}


def code_or_length(body: bytes, encoding: str) -> object:
    try:
        return len(decompress(body, encoding, 50))
    except Problem as problem:
        return problem.code
