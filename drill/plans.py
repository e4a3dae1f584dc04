"""A plan that holds: what a dry-run saw, so that a later ``--apply --plan ID`` does that and nothing else.

The env file itself is never stored, only a digest of it keyed with a random salt: two plans of the same file cannot be
told to be that, and its secrets cannot be looked up.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from drill.errors import Refused, UsageError
from drill.foreign import MAX_LINE, count, decode_object, moment, read_whole
from drill.plain_file import NotPlain, write_whole

PLANS_DIR = "plans"
DELTA_SHARE = 0.2
"""Share by which the delta may have grown or shrunk since it was planned."""
DELTA_DOCUMENTS = 20
"""Documents by which it may in any case: users go on writing."""
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Plan:
    """What was seen when the plan was made. ``delta``: orphans, stale, missing; ``None`` if it was not compared."""

    id: str
    created: str
    apply: bool
    env_file: str
    """Only shown."""
    salt: str
    env_digest: str
    changes: Mapping[str, str]
    instances: Sequence[str]
    delta: Mapping[str, int] | None
    env_id: str = ""
    """Which environment it was made for; the plans of earlier releases do not say, and are not carried out."""


def make_plan(
    plan_id: str,
    env_file: str,
    env: bytes,
    changes: Mapping[str, str],
    instances: Sequence[str],
    delta: Mapping[str, int] | None,
    *,
    apply: bool,
    env_id: str,
) -> Plan:
    """Return the plan of a drill that looks at the env file ``env`` now."""
    salt = secrets.token_hex(16)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Plan(plan_id, created, apply, env_file, salt, _digest(salt, env), changes, list(instances), delta, env_id)


def save_plan(artifacts_dir: Path, plan: Plan) -> Path:
    """Write a plan to ``artifacts/plans/<id>.json``, whole or not at all; raises ``OSError``."""
    path = artifacts_dir / PLANS_DIR / f"{plan.id}.json"
    write_whole(path, json.dumps(asdict(plan), indent=1).encode("ascii") + b"\n", inside=1)
    return path


def load_plan(artifacts_dir: Path, plan_id: str) -> Plan:
    """Read a plan; raises `UsageError` if there is none of that id, or it is damaged."""
    path = artifacts_dir / PLANS_DIR / f"{plan_id}.json"
    if not _ID.fullmatch(plan_id) or not path.exists():
        raise UsageError("--plan: no such plan; a dry-run makes one and prints its id")
    try:
        plan = Plan(**decode_object(read_whole(path, MAX_LINE)))
        whole = _is_whole(plan) and plan.id == plan_id
    except NotPlain as problem:
        raise UsageError(f"--plan {plan_id}: {problem.strerror}") from None
    except (OSError, ValueError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise UsageError(f"--plan {plan_id}: the plan is damaged; make a new one with a dry-run")
    return plan


def _is_whole(plan: Plan) -> bool:
    """Whether every part is of its kind: a plan is a file that anybody may have edited. Raises `ValueError` or so."""
    texts = [plan.id, plan.env_file, plan.env_id, plan.env_digest.encode("ascii").decode(), *plan.instances]
    texts += [*plan.changes, *plan.changes.values()]
    for documents in [] if plan.delta is None else plan.delta.values():
        count(documents)
    moment(plan.created)
    bytes.fromhex(plan.salt)
    listed = isinstance(plan.instances, list) and isinstance(plan.apply, bool)
    return listed and all(isinstance(one, str) for one in texts)


def hold(
    plan: Plan,
    env_id: str,
    env: bytes,
    changes: Mapping[str, str],
    instances: Sequence[str],
    ttl_s: float,
    now: datetime | None = None,
) -> None:
    """Raise `Refused` if what the flags rely on has moved, in one line that says what. ``now`` is the drill's time.

    The delta is not among it: it grows in an incident, and only the purge relies on it (`moved_delta`).
    """
    age_s = ((now or datetime.now(UTC)) - moment(plan.created)).total_seconds()
    if not 0 <= age_s <= ttl_s:
        raise Refused(f"plan {plan.id} is {age_s:.0f} s old, [window] plan_ttl_s is {ttl_s:.0f}; make a new dry-run")
    if not env_id or plan.env_id != env_id:
        raise Refused(
            f"plan {plan.id} was made for {plan.env_file} (environment {plan.env_id or 'not noted'}), this is "
            f"environment {env_id or 'unknown'}; make a new dry-run here"
        )
    if not hmac.compare_digest(plan.env_digest, _digest(plan.salt, env)) or dict(plan.changes) != dict(changes):
        raise Refused(f"the env file is not the one that plan {plan.id} was made of; make a new dry-run")
    if sorted(plan.instances) != sorted(instances):
        raise Refused(f"the instances are not those of plan {plan.id}; make a new dry-run")


def moved_delta(plan: Plan, delta: Mapping[str, int | None]) -> str:
    """Say what of the delta has moved beyond `DELTA_SHARE` and `DELTA_DOCUMENTS`; empty if nothing has.

    A count that is not known has not moved.
    """
    moved = []
    for name, planned in (plan.delta or {}).items():
        now = delta.get(name)
        if now is not None and abs(now - planned) > max(DELTA_DOCUMENTS, DELTA_SHARE * planned):
            moved.append(f"{now} {name}, plan {plan.id} saw {planned}")
    return ", ".join(moved)


def _digest(salt: str, env: bytes) -> str:
    return hmac.new(bytes.fromhex(salt), env, hashlib.sha256).hexdigest()
