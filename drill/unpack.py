"""Bodies that a server compresses though it was asked not to: unpacked piece by piece, so that a size can stop it."""

import zlib
from collections.abc import Iterable, Iterator

ZLIB = frozenset({"gzip", "x-gzip", "deflate"})
"""Encodings that are unpacked."""
EITHER = 47
"""For zlib: of either header, gzip's or its own."""
PIECE = 1 << 16
"""Bytes that are unpacked at a time, at most: a few kilobytes can hold gigabytes."""


class NotUnpacked(Exception):  # noqa: N818 - says what came of it
    """A body that cannot be unpacked; its text says so."""


def unpacked(parts: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield a body of ``encoding`` unpacked, or as it is if it has none; raises `NotUnpacked`."""
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        yield from parts
        return
    if encoding not in ZLIB:
        raise NotUnpacked("a compressed answer, which was not asked for, of a kind that is not unpacked")
    engine, empty = zlib.decompressobj(EITHER), True
    try:
        for part in parts:
            rest, empty = part, False
            while not engine.eof and (piece := engine.decompress(rest, PIECE)):
                yield piece
                rest = engine.unconsumed_tail
            if engine.eof:
                return  # what may come after it is not part of the body
    except zlib.error:
        raise NotUnpacked("a compressed answer that cannot be unpacked") from None
    if not empty:
        raise NotUnpacked("a compressed answer that cannot be unpacked: it is cut off")
