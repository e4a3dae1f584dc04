"""Services whose document ids are whole numbers."""

import hashlib
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Asked, Hooks, Places
from sandbox.faults.registry import oddity
from sandbox.faults.stored import run
from sandbox.service import snapshot

if TYPE_CHECKING:
    from starlette.datastructures import MutableHeaders

SEARCH = "/internal/retrieval/search"
DIGITS = 13
"""Hex digits of a hash that make a number: it fits in 64 bits, and among floating point numbers."""


def number_of(name: str) -> str:
    """Return the number, as a text, that stands for a document called ``name``; a number stays itself."""
    if name.isdecimal():
        return name
    return str(int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:DIGITS], 16))


@oddity
class TargetIdsAsIntegers(Hooks):
    """The target keeps ids as bigint, the FAISS snapshots as texts of digits, and answers have them as numbers."""

    @classmethod
    def switched_on(cls, places: Places) -> None:
        """Give the documents numbers on both sides, and keep copies."""
        for tenant in sorted(path for path in places.faiss_dir.glob("*") if path.is_dir()):
            with snapshot.locked(tenant, exclusive=True):
                shutil.copytree(tenant, places.keep_dir / tenant.name)
                held = snapshot.read(tenant, {})
                numbered = [replace(one, id=number_of(one.id)) for one in held.documents]
                snapshot.write(tenant, snapshot.make(numbered, held.vectors))
        run(
            places.dsn,
            "create table named as select * from {table}",
            "alter table {table} alter column id type bigint using ('x' || substr(md5(id), 1, 13))::bit(52)::bigint",
        )

    @classmethod
    def switched_off(cls, places: Places) -> None:
        """Put the copies back."""
        for tenant in sorted(path for path in places.keep_dir.glob("*") if path.is_dir()):
            shutil.rmtree(places.faiss_dir / tenant.name, ignore_errors=True)
            shutil.copytree(tenant, places.faiss_dir / tenant.name)
        shutil.rmtree(places.keep_dir, ignore_errors=True)
        run(
            places.dsn,
            "truncate {table}",
            'alter table {table} alter column id type text collate "C"',
            "insert into {table} select * from named",
            "drop table named",
        )

    def kept_as(self, name: str) -> str:
        """Return the number."""
        return number_of(name)

    def body(self, asked: Asked, body: bytes, headers: "MutableHeaders") -> bytes:  # noqa: ARG002 - stays JSON
        """Answer searches with numbers of JSON."""
        answer = json.loads(body) if asked.path == SEARCH else {}
        if not answer.get("results"):
            return body
        results = [{**one, "id": int(one["id"])} for one in answer["results"]]
        return json.dumps({**answer, "results": results}).encode()
