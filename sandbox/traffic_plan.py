"""What the background users ask and write: the same on every run, and bounded, so that nothing grows without end."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from sandbox.content import Document
from sandbox.corpus import documents, golden_ids

HOT = 12
"""Documents a tenant's users edit again and again; few, so that a rollback leaves few documents stale."""
NOTES = 400
"""New documents a tenant's users add before they begin to save the same ones again."""


@lru_cache(maxsize=8)
def _plain(tenant: str) -> tuple[Document, ...]:
    golden = set(golden_ids(tenant).values())
    return tuple(document for document in documents(tenant) if document.id not in golden)


def hot_documents(tenant: str) -> Sequence[Document]:
    """Return the documents that are edited; no golden answer is among them."""
    plain = _plain(tenant)
    step = len(plain) // HOT
    return plain[step // 2 :: step][:HOT]


def quiet_rows(tenant: str, rows: Mapping[str, int], count: int) -> list[int]:
    """Return which of ``rows`` (by id) are of the first ``count`` documents of the corpus that nobody edits or expects.

    The same ones each time, a third of the way into the corpus.
    """
    hot = {document.id for document in hot_documents(tenant)}
    quiet = [document.id for document in _plain(tenant) if document.id not in hot]
    return [rows[key] for key in quiet[len(quiet) // 3 :] if key in rows][:count]


def edit(tenant: str, number: int) -> Document:
    """Return the ``number``-th edit: a hot document with a new revision."""
    document = hot_documents(tenant)[number % HOT]
    return replace(document, text=f"{document.text} Revision {number // HOT + 1}.")


def note(tenant: str, number: int) -> Document:
    """Return the ``number``-th new document; after ``NOTES`` of them the first comes again, unchanged."""
    number %= NOTES
    plain = _plain(tenant)
    source = plain[(number * 7 + 3) % len(plain)]
    return Document(f"{tenant}-note-{number:05d}", f"Note {number}: {source.text}", {**source.meta, "source": "user"})


def question(tenant: str, number: int) -> str:
    """Return the ``number``-th question: the first words of some passage."""
    plain = _plain(tenant)
    return " ".join(plain[(number * 131) % len(plain)].text.split()[:8])
