"""What a drill has left in the place of the env file, to be compared with what stands there later."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from drill.envfile.edit import plan_edit
from drill.envfile.files import Snapshot
from drill.envfile.flags import FLAGS, shown
from drill.envfile.parse import NotText, parse


@dataclass(frozen=True, slots=True)
class Left:
    """The env file as it was found, written or put back. ``status`` is ``None`` where it could not be read back."""

    data: bytes = field(repr=False)
    status: os.stat_result | None = field(repr=False)
    keys: tuple[str, ...] = tuple(FLAGS)
    """The keys that are this drill's: the flags, and what the ladder sets besides."""

    @classmethod
    def of(cls, found: Snapshot, keys: Iterable[str] = ()) -> "Left":
        """Return what was read, with the flags and ``keys`` as this drill's own."""
        return cls(found.data, found.status, cls.keys_with(keys))

    @staticmethod
    def keys_with(keys: Iterable[str]) -> tuple[str, ...]:
        """Return the flags and ``keys``, each once."""
        return tuple(dict.fromkeys((*FLAGS, *keys)))


@dataclass(frozen=True, slots=True)
class Moved:
    """What has become of the keys: a line for each that reads otherwise, and what is not sure of the rest."""

    changed: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def moved(left: Left, now: bytes) -> Moved:
    """Compare the keys in two contents of the env file, as python-dotenv reads them; never shows other values."""
    if now == left.data:
        return Moved()
    before = parse(left.data)
    try:
        after = parse(now)
    except NotText as error:
        return Moved((f"it holds {error}",))
    was, read = before.interpolated(), after.interpolated()
    raw_was, raw = before.values(), after.values()
    changed = [f"{key} is {_said(read, key)}, was {_said(was, key)}" for key in left.keys if _other(was, read, key)]
    doubts = [
        f"{key} is {_said(read, key)} by way of another variable"
        for key in left.keys
        if _other(raw_was, raw, key) and not _other(was, read, key)
    ]
    if refusal := plan_edit(now).refusal:
        doubts.append(refusal)
    return Moved(tuple(changed), tuple(doubts))


def _other(was: Mapping[str, str | None], now: Mapping[str, str | None], key: str) -> bool:
    return (key in was, was.get(key)) != (key in now, now.get(key))


def _said(values: Mapping[str, str | None], key: str) -> str:
    return shown(values.get(key))
