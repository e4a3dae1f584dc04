"""What to do about an instance that is seen to disobey a flag, though the file says it: the next step, in one line."""

import re
from collections.abc import Collection, Mapping

from drill.record import DrillRecord

MAX_NAMED = 3
UNKNOWN = "an instance that is not known"
_ADVICE = (
    "Find what sets the value there beside the env file, for it wins over the file (the unit file: systemctl cat; "
    "environment: and env_file: of compose; env: of the pod), correct it, and start the process anew, with its "
    "container (docker compose up -d --force-recreate; a mere restart keeps the old environment)"
)


def named_in(text: str, instances: Collection[str]) -> list[str]:
    """Return the instances, as they are shown, that a reason names."""
    return [name for name in instances if re.search(rf"(?<![\w.-]){re.escape(name)}(?!\w)", text)]


def who(text: str, instances: Collection[str]) -> list[str]:
    """Return the instances that a reason means: those it names, the only one there is, or one that is not known."""
    return named_in(text, instances) or (list(instances) if len(instances) == 1 else [UNKNOWN])


def note(record: DrillRecord, instance: str, flag: str, seen: str) -> None:
    """Note that ``instance`` disobeys ``flag`` (``KEY=VALUE``); ``seen``: what it says of itself."""
    record.disobeyed.setdefault(instance, {})[flag] = seen


def next_step(record: DrillRecord, flags_path: str = "") -> str:
    """Return what to do about the instances that disobey; empty if none was seen to."""
    if not record.disobeyed or record.restored:
        return ""
    named = [f"{name}: {_flags(flags)}" for name, flags in record.disobeyed.items()]
    more = [f"and {len(named) - MAX_NAMED} more"] if len(named) > MAX_NAMED else []
    look = f", or ask {flags_path} of it" if flags_path else ""
    who = "; ".join([*named[:MAX_NAMED], *more])
    return f"not obeyed by {who}. {_ADVICE}. To check, run the same command again{look}."


def _flags(flags: Mapping[str, str]) -> str:
    return ", ".join(f"{flag} ({seen})" if seen else flag for flag, seen in flags.items())
