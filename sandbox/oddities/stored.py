"""Targets that store what they store in another way."""

from sandbox.faults.registry import oddity
from sandbox.faults.stored import StoredChange


@oddity
class HashesInUpperCase(StoredChange):
    """The target's hash column holds SHA-256 in upper case."""

    do = ("update {table} set content_hash = upper(content_hash)",)
    undo = ("update {table} set content_hash = lower(content_hash)",)


@oddity
class TargetIsReferredTo(StoredChange):
    """A log of searches refers to documents by a key without an action, and writes are noted by a trigger."""

    do = (
        "create table searches (tenant text, document text, foreign key (tenant, document) references {table})",
        "create function noted() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger noted before insert or update on {table} for each row execute function noted()",
    )
    undo = ("drop trigger noted on {table}", "drop function noted", "drop table searches")
