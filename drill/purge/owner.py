"""Whose a quarantine or a plan is: the environment it was made for, and the target its documents were deleted from."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from drill.context import Drill
from drill.errors import Refused
from drill.foreign import MAX_LINE, decode_object, read_whole
from drill.printable import printable
from drill.target.base import Target

OWNER_FILE = "owner.json"
"""Beside the parts of a quarantine and beside a plan: there before the first document is deleted."""
OLD = (
    "does not note whose it is, as those of earlier releases; it is only shown: make a new plan, or undo it with that "
    "release"
)


@dataclass(frozen=True, slots=True)
class Owner:
    """``environment`` and ``target`` are identities and are compared; ``env_file`` and ``name`` are only shown."""

    environment: str
    env_file: str
    target: str
    name: str

    def __str__(self) -> str:
        where = f"{self.name} (target {self.target}) of {self.env_file} (environment {self.environment})"
        return printable(where)

    def is_mine(self, mine: "Owner", *, moved: bool = False) -> bool:
        """Whether it is the target of ``mine``, and its environment too unless that was ``moved``."""
        same = bool(mine.target) and self.target == mine.target
        return same and (moved or (bool(mine.environment) and self.environment == mine.environment))


@dataclass(frozen=True, slots=True)
class Claim:
    """What a purge may take for its own: ``whose`` says who it is once its target is open.

    ``earlier``: quarantines of killed purges of the same environment; those of the same target are settled first.
    """

    whose: Callable[[Target], Owner]
    earlier: Sequence[Path] = ()


def owner_of(drill: Drill, target: Target) -> Owner:
    """Return whose a purge of ``drill`` is that has ``target`` open. Raises TargetUnavailable."""
    from drill.target.identity import target_id, target_name

    config, record = drill.config.target, drill.record
    return Owner(record.env_id, record.env_file, target_id(config, drill.target_values, target), target_name(config))


def read_owner(folder: Path) -> Owner | None:
    """Return whose the quarantine or plan in ``folder`` is; ``None`` if nothing that can be read says so."""
    try:
        found = decode_object(read_whole(folder / OWNER_FILE, MAX_LINE))
        owner = Owner(**{name: found[name] for name in Owner.__dataclass_fields__})
    except (OSError, ValueError, KeyError):
        return None
    return owner if all(isinstance(value, str) for value in asdict(owner).values()) else None


def check_mine(folder: Path, mine: Owner, what: str, *, moved: bool = False) -> None:
    """Raise Refused, in a line that names both, unless ``folder`` holds a ``what`` of ``mine``."""
    found = read_owner(folder)
    if found is None:
        raise Refused(f"the {what} of {folder.parent.name} {OLD}")
    if not found.is_mine(mine, moved=moved):
        remedy = "name the env file and the target it was made with"
        if found.target == mine.target:
            remedy += "; if that env file was copied or restored to here, `undo --moved` asks for the target only"
        raise Refused(f"the {what} of {folder.parent.name} is of {found}, this is {mine}; {remedy}")


def write_owner(folder: Path, owner: Owner) -> None:
    """Note whose ``folder`` is, durable on return. Raises OSError: then nothing may be deleted."""
    from drill.purge.quarantine import write_durably

    content: Mapping[str, object] = {"schema": 1, **asdict(owner)}
    write_durably(folder / OWNER_FILE, json.dumps(content, indent=1, ensure_ascii=True).encode() + b"\n")
