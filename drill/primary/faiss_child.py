"""Look at an index with faiss, in a process of its own: ``python -P faiss_child.py PATH`` prints two lines of JSON.

faiss takes what a file says for true: on a damaged one, or one that is cut off while it is mapped, the process may die.
That must not be the drill's. The first line says what the index is, the second what its vectors are like: to give its
vectors back is what a kind may die of though it is well. Imports nothing of the drill: it is run as a script.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import faiss
import numpy as np

LOOKED_AT = 64
"""Vectors that are looked at, spread over the index."""
LISTS = 16
"""Inverted lists that they are taken from."""
MAPPED = (faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_SKIP_IVF_DATA, faiss.IO_FLAG_MMAP)
"""Vectors are mapped, not loaded: by the first where no lists are in the file itself, by the second where they are."""
INSIDE = ("index", "base_index")
"""Attributes by which an index holds the one that it stands for."""


class Damaged(Exception):  # noqa: N818 - a finding
    """The message is a clause that follows the file's name."""


@dataclass
class Looked:
    """An index of which structure and files were found well; ``inner`` is what holds its vectors."""

    facts: dict[str, Any]
    outer: Any
    """What was read, and owns ``inner``."""
    inner: Any
    lists: Any = None
    sizes: list[int] = field(default_factory=list)


def look(path: Path) -> Looked:
    """Look at structure and files of the index at ``path``. Raises Damaged."""
    with path.open("rb") as file:
        binary = file.read(2) == b"IB"
    outer = _read(path, binary, *MAPPED)
    parts = list(_parts(outer, binary))
    if len({int(part.ntotal) for part in parts}) > 1:
        raise Damaged(f"holds parts of {sorted({int(part.ntotal) for part in parts})} vectors")
    facts: dict[str, Any] = {
        "vectors": int(outer.ntotal),
        "dimension": int(outer.d),
        "kind": ", ".join(type(part).__name__ for part in parts),
        "trained": bool(outer.is_trained),
        "needs": [],
        "unchecked": "",
    }
    found = Looked(facts, outer, parts[-1])
    return _with_lists(found, path, binary) if hasattr(parts[-1], "invlists") else found


def _read(path: Path, binary: bool, *choices: int) -> Any:
    """Read an index by the first of ``choices`` (faiss' flags) that its kind allows. Raises Damaged."""
    read = faiss.read_index_binary if binary else faiss.read_index
    for flags in choices:
        try:
            return read(str(path), flags | faiss.IO_FLAG_READ_ONLY)
        except RuntimeError:
            continue
    raise Damaged("cannot be read by faiss")


def _parts(outer: Any, binary: bool) -> Iterator[Any]:
    """Yield an index and what it wraps, from the outside in."""
    down = faiss.downcast_IndexBinary if binary else faiss.downcast_index
    while outer is not None:
        yield outer
        within = next((found for name in INSIDE if (found := getattr(outer, name, None)) is not None), None)
        outer = None if within is None else down(within)


def _with_lists(found: Looked, path: Path, binary: bool) -> Looked:
    """Look at the inverted lists, and at the file that holds them if they have one of their own."""
    lists = found.lists = faiss.downcast_InvertedLists(found.inner.invlists)
    sizes = found.sizes = [int(lists.list_size(number)) for number in range(lists.nlist)]
    if sum(sizes) != found.inner.ntotal:
        raise Damaged(f"has {sum(sizes)} vectors in its lists, its header promises {found.inner.ntotal}")
    named = Path(getattr(lists, "filename", "") or path)
    if _is(named, path):
        return found
    place = _place(named, path)
    if place is None:
        found.facts["unchecked"] = f"its lists ({named.name}), in a directory that is not seen from here"
        found.lists = None
        return found
    _check_extent(lists, sizes, place)
    found.facts["needs"].append(str(place))
    # Now with the lists themselves; faiss looks for them beside the index if it is told so.
    found.outer = _read(path, binary, 0 if _is(named, place) else faiss.IO_FLAG_ONDISK_SAME_DIR)
    found.inner = list(_parts(found.outer, binary))[-1]
    found.lists = faiss.downcast_InvertedLists(found.inner.invlists)
    return found


def _is(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _place(named: Path, index: Path) -> Path | None:
    """Return where the lists are; ``None`` if they may be where this machine cannot look. Raises Damaged if lost.

    The index names them as its writer saw them: absolute, or relative to the writer's working directory. faiss finds
    them there or, with a flag, beside the index.
    """
    beside = index.parent / named.name
    if named.is_absolute() and named.is_file():
        return named
    if beside.is_file():
        return beside
    seen_from_here = not named.is_absolute() or named.parent.is_dir() or index.parent.parent in named.parents
    if seen_from_here:
        raise Damaged(f"needs {named.name} with its lists, which is missing")
    return None


def _check_extent(lists: Any, sizes: list[int], place: Path) -> None:
    size = place.stat().st_size
    last = max((_end(lists, number) for number, held in enumerate(sizes) if held), default=0)
    if size < last:
        raise Damaged(f"needs {place.name} with its lists, which is cut off: {size} bytes, expected {last} or more")


def _end(lists: Any, number: int) -> int:
    one = lists.lists.at(number)
    return int(one.offset + one.capacity * (lists.code_size + 8))


def vectors_of(found: Looked) -> dict[str, str]:
    """Look at some vectors: return why they are of no use, or why they could not be looked at."""
    if not found.facts["vectors"] or found.facts["unchecked"]:
        return {}
    if found.lists is not None and (odd := _ids(found)):
        return {"useless": odd}
    try:
        usable = [bool(np.isfinite(one).all() and one.any()) for one in _some_vectors(found)]
    except (RuntimeError, AttributeError, TypeError):
        return {"opaque": "whose vectors cannot be read back"}
    bad = len(usable) - sum(usable)
    if 2 * bad > len(usable):
        return {"useless": f"{bad} of {len(usable)} vectors looked at are all zero or not finite"}
    return {} if usable else {"opaque": "whose vectors cannot be read back"}


def _ids(found: Looked) -> str:
    """Say so if every id is 0: what was never written, or was lost, reads as zeros."""
    ids = [
        int(one)
        for number, held in _some_lists(found.sizes)
        for one in faiss.rev_swig_ptr(found.lists.get_ids(number), held)[:LOOKED_AT]
    ]
    return f"its lists hold nothing but zeros ({len(ids)} ids looked at)" if len(ids) > 1 and not any(ids) else ""


def _some_lists(sizes: list[int]) -> list[tuple[int, int]]:
    full = [(number, held) for number, held in enumerate(sizes) if held]
    return full[:: max(1, len(full) // LISTS)][:LISTS]


def _some_vectors(found: Looked) -> Iterator[Any]:
    inner = found.inner
    if found.lists is None:
        rows = sorted({number * inner.ntotal // LOOKED_AT for number in range(LOOKED_AT)})
        yield from (inner.reconstruct(row) for row in rows)
    elif isinstance(found.lists, faiss.ArrayInvertedLists | faiss.OnDiskInvertedLists):  # faiss dies over others
        for number, held in _some_lists(found.sizes):
            for offset in range(0, held, max(1, held * LISTS // LOOKED_AT)):
                vector = np.zeros(inner.d, "f4")
                inner.reconstruct_from_offset(number, offset, faiss.swig_ptr(vector))
                yield vector


def main() -> None:
    """Print what was found, or ``{"damaged": clause}``, and then what the vectors are like."""
    out = os.dup(1)
    os.dup2(2, 1)  # faiss itself writes to standard output
    try:
        found = look(Path(sys.argv[1]))
    except Damaged as reason:
        os.write(out, json.dumps({"damaged": str(reason)}).encode())
        return
    os.write(out, json.dumps(found.facts).encode() + b"\n")
    os.write(out, json.dumps(vectors_of(found)).encode())


if __name__ == "__main__":
    main()
