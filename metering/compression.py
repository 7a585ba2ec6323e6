"""Compressed bodies, read piece by piece and never beyond what a body may hold: gzip, zstd and lz4.

A body may consist of several frames (gzip calls them members), one after another. What is refused: an unknown or a
nested encoding, more than 64 frames, a frame that is broken or ends early, anything behind the last frame, a body that
grows beyond its limit or more than a hundredfold.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import lz4.frame

from aforo.kernel.errors import Problem

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 64 * 1024
# Each frame may be empty, so that their number needs a bound of its own.
FRAMES_MAX = 64
# A bomb is told before it reaches the limit. The first bytes are free: 10,000 events that differ in nothing, with their
# keys in a header, are 1.5 MB and shrink five-thousandfold; events that differ shrink to a tenth, at most to an 85th.
RATIO_MAX = 100
RATIO_FREE_BYTES = 4 * 1024 * 1024
# 8 MiB, which is what HTTP allows a zstd body to demand of its reader (RFC 9659); the library would go to 128 MiB.
_ZSTD_WINDOW_LOG_MAX = 23

_NO_ENCODING = frozenset({"", "identity"})


class _Frame(Protocol):
    """One frame being read. eof: its end was met; unused_data: what was fed beyond it."""

    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most *max_length* bytes; fewer mean that all that was fed is used up."""


class _GzipFrame:
    """zlib hands back what it has not looked at, where the other two keep it."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data


def _zstd_frame() -> _Frame:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG_MAX})


ENCODINGS: dict[str, Callable[[], _Frame]] = {
    "gzip": _GzipFrame,
    "x-gzip": _GzipFrame,
    "zstd": _zstd_frame,
    "lz4": lz4.frame.LZ4FrameDecompressor,
}


def decompress(body: bytes, encoding: str | None, limit: int) -> bytes:
    """The body without its Content-Encoding, never holding more than *limit* bytes and one piece of it.

    encoding: the header; None, "" and "identity" mean none.
    Raises Problem: body_too_large (a bomb stops at the limit, or at a hundred times what was sent), encoding_broken,
    encoding_unsupported.

    1 GiB of zeros is 1 MiB of gzip; it is refused after 4 MiB were made of it.
    """
    if (encoding or "").strip().lower() in _NO_ENCODING:
        if len(body) > limit:
            raise too_large(limit)
        return body
    return b"".join(decompressed([body], encoding, limit))


def decompressed(chunks: Iterable[bytes], encoding: str | None, limit: int) -> Iterator[bytes]:
    """The same for a body that comes in chunks: pieces of it, as they can be read. Raises what `decompress` raises."""
    name = (encoding or "").strip().lower()
    if name not in _NO_ENCODING and name not in ENCODINGS:
        raise Problem("encoding_unsupported", f"Content-Encoding {name[:64]!r} is not read.")
    pieces = chunks if name in _NO_ENCODING else _inflated(chunks, name)
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > limit:
            raise too_large(limit)
        yield piece


def too_large(limit: int) -> Problem:
    """The refusal of a body beyond *limit* bytes."""
    return Problem("body_too_large", f"The body is larger than {limit:,} bytes.", bytes_max=limit)


def _inflated(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    frame = ENCODINGS[name]()
    frames, fed, made = 1, 0, 0
    for data in _slices(chunks):
        fed += len(data)
        while data:
            if frame.eof:
                frames += 1
                if frames > FRAMES_MAX:
                    raise Problem("encoding_broken", f"The {name} body has more than {FRAMES_MAX} frames.")
                frame = ENCODINGS[name]()
            for piece in _pieces(frame, data, name):
                made += len(piece)
                if made > RATIO_FREE_BYTES and made > fed * RATIO_MAX:
                    raise Problem(
                        "body_too_large",
                        f"The {name} body grows more than {RATIO_MAX} times when it is decompressed.",
                        ratio_max=RATIO_MAX,
                    )
                yield piece
            data = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise Problem("encoding_broken", f"The {name} body ends before its end mark.")


def _pieces(frame: _Frame, data: bytes, name: str) -> Iterator[bytes]:
    while True:
        try:
            piece = frame.decompress(data, PIECE_BYTES)
        except (zlib.error, zstd.ZstdError, RuntimeError) as error:
            # lz4 calls whatever goes wrong a RuntimeError.
            raise Problem("encoding_broken", f"The body is not {name}: {error}.") from None
        if piece:
            yield piece
        if frame.eof or len(piece) < PIECE_BYTES:
            return
        data = b""


def _slices(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), PIECE_BYTES):
            yield chunk[start : start + PIECE_BYTES]
