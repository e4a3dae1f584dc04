"""The corpus: the Python language reference as shipped in ``pydoc_data``, cut into passages for two tenants."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from sandbox.content import Document

TENANTS = ("default", "acme")
MAX_CHARS = 190
MIN_CHARS = 40
ACME_SHARE = 3
"""The second tenant holds every third passage, under ids of its own."""

_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.!?:;])\s+")
_UNDERLINE = re.compile(r"[*=~^-]{4,}")


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage of the reference: where it stands and what it says."""

    topic: str
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class GoldenQuery:
    """A question and a phrase by which the passage that answers it is known."""

    query: str
    phrase: str


GOLDEN = (
    GoldenQuery("which exception does a failing assert statement raise", "assert"),
    GoldenQuery("yield expression turns a function into a generator function", "generator function"),
    GoldenQuery("finally clause executed on the way out of try", '"finally"'),
    GoldenQuery("metaclass determination for a class definition", "metaclass"),
    GoldenQuery("lambda expressions create anonymous functions", "anonymous functions"),
    GoldenQuery("break terminates the nearest enclosing loop", "nearest enclosing loop"),
    GoldenQuery("weak references to objects and __slots__", "__weakref__"),
    GoldenQuery("pdb debugger set a breakpoint with a condition", "breakpoint"),
    GoldenQuery("string method that removes leading and trailing whitespace", "strip"),
)


@lru_cache(maxsize=1)
def passages() -> tuple[Passage, ...]:
    """Return every passage once, in a fixed order; the same in every process of one Python version."""
    from pydoc_data.topics import topics

    seen: set[str] = set()
    found: list[Passage] = []
    for topic in sorted(topics):
        for number, text in enumerate(_chunks(topics[topic])):
            if text not in seen:
                seen.add(text)
                found.append(Passage(topic, number, text))
    return tuple(found)


def _chunks(body: str) -> Iterator[str]:
    for paragraph in _PARAGRAPH.split(body):
        current = ""
        for sentence in _SENTENCE.split(" ".join(_UNDERLINE.sub("", paragraph).split())):
            if current and len(current) + len(sentence) > MAX_CHARS and len(current) >= MIN_CHARS:
                yield current
                current = sentence
            else:
                current = f"{current} {sentence}".strip()
        if len(current) >= MIN_CHARS:
            yield current


def documents(tenant: str) -> list[Document]:
    """Return the tenant's documents; ids of two tenants never meet, each begins with its tenant's name."""
    chosen = passages() if tenant == TENANTS[0] else passages()[::ACME_SHARE]
    return [
        Document(f"{tenant}-{one.topic}-{one.number:04d}", one.text, {"topic": one.topic, "source": "pydoc"})
        for one in chosen
    ]


def golden_ids(tenant: str) -> dict[str, str]:
    """Return golden query to the id of its answer, for those whose answer this embedding ranks first."""
    from sandbox.embedding import embed

    docs = documents(tenant)
    queries = embed([golden.query for golden in GOLDEN])
    best = (queries @ embed([doc.text for doc in docs]).T).argmax(axis=1)
    return {
        golden.query: docs[row].id
        for golden, row in zip(GOLDEN, best.tolist(), strict=True)
        if golden.phrase.lower() in docs[row].text.lower()
    }
