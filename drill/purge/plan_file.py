"""Plans that are kept on disk: shown to whoever decides, named by their hash, and carried out later."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from drill.errors import UsageError
from drill.foreign import count, decode_object, number, read_whole
from drill.plain_file import held_directory, new_file, write_whole
from drill.purge.compare import DELTA, blocks, unplanned
from drill.purge.model import Delta, PurgeRefused, PurgeSettings, TenantDelta
from drill.purge.owner import Owner, write_owner
from drill.purge.quarantine import INSIDE

PLAN_DIR = "plan"
PLAN_FILE = "plan.json"
SHOWN_DIGITS = 16
"""So many digits of a plan's hash are shown; at least MIN_DIGITS must be given to name it."""
MIN_DIGITS = 8
_DIGEST = re.compile(r"[0-9a-f]{64}")
JOINED_SHARE = 0.01
"""Up to this share of a plan may have joined the delta since: it was as good as seen..."""
JOINED_FLOOR = 10
"""...and up to so many documents, in a small plan."""


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """A plan as it lies in ``folder``; ``deltas`` holds the file of each tenant."""

    folder: Path
    digest: str
    fraction: float
    doomed: int
    missing: int
    deltas: dict[str, Path]


def keep(plan: Delta, folder: Path, owner: Owner | None = None) -> None:
    """Write whose it is, ``plan.json`` (counts, digest) and each tenant's delta (ids, kind) to ``folder``, 0700.

    Raises OSError.
    """
    if owner is not None:
        write_owner(folder, owner)
    tenants = []
    for place, tenant in enumerate(plan.tenants):
        name = f"delta-{place:04d}.parquet"
        with (
            tenant.folder.joinpath(DELTA).open("rb") as delta,
            held_directory(folder, INSIDE) as held,
            new_file(held, name) as copy,
        ):
            shutil.copyfileobj(delta, copy)
        counts = {"in_faiss": tenant.primary_count, "on_target": tenant.target_count}
        kinds = {"orphans": tenant.orphans, "stale": tenant.stale, "missing": tenant.missing}
        tenants.append({"tenant": tenant.tenant, **counts, **kinds, "delta": name})
    content = {"schema": 1, "digest": plan.digest, "fraction": plan.fraction, "tenants": tenants}
    write_whole(folder / PLAN_FILE, json.dumps(content, indent=1, ensure_ascii=True).encode(), inside=INSIDE)


def read_plan(folder: Path) -> KeptPlan | None:
    """Return the plan in ``folder``; ``None`` if there is none that is whole."""
    try:
        content = decode_object(read_whole(folder / PLAN_FILE))
        tenants = content["tenants"]
        deltas = {str(entry["tenant"]): folder / Path(entry["delta"]).name for entry in tenants}
        doomed = sum(count(entry["orphans"]) + count(entry["stale"]) for entry in tenants)
        missing = sum(count(entry["missing"]) for entry in tenants)
        digest, fraction = str(content["digest"]), number(content["fraction"], 1.0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return KeptPlan(folder, digest, fraction, doomed, missing, deltas) if _DIGEST.fullmatch(digest) else None


def find_plan(folders: Iterator[Path], digits: str) -> KeptPlan:
    """Return the plan among the drills' ``folders`` whose hash begins with ``digits``. Raises UsageError."""
    if len(digits) < MIN_DIGITS:
        raise UsageError(f"--plan: seen {len(digits)} digits, expected at least {MIN_DIGITS} of the plan's hash")
    plans = (plan for folder in folders if (plan := read_plan(folder / PLAN_DIR)) is not None)
    found = {plan.digest: plan for plan in plans if plan.digest.startswith(digits.lower())}
    if len(found) != 1:
        seen = "no kept plan has" if not found else "several plans have"
        raise UsageError(f"--plan {digits}: {seen} this hash; `python -m drill purge status` lists them")
    return next(iter(found.values()))


def check_planned(kept: KeptPlan, now: Delta, settings: PurgeSettings) -> None:
    """Raise PurgeRefused if ``now`` condemns more than ``kept`` showed, beyond a small bound.

    What has left the delta since is no objection: it is then simply not deleted.
    """
    if set(kept.deltas) != {tenant.tenant for tenant in now.tenants}:
        raise PurgeRefused(
            "the plan was made for other tenants than [service] tenants names now; make a new plan and look at it"
        )
    joined = sum(_unplanned(kept, tenant, settings) for tenant in now.tenants)
    allowed = max(JOINED_FLOOR, int(JOINED_SHARE * kept.doomed))
    if joined > allowed:
        raise PurgeRefused(
            f"{joined} documents differ now that the plan did not show, allowed are {allowed} ({JOINED_SHARE:.0%}, "
            f"at least {JOINED_FLOOR}); make a new plan and look at it"
        )


def _unplanned(kept: KeptPlan, tenant: TenantDelta, settings: PurgeSettings) -> int:
    from duckdb import Error

    try:
        return unplanned(kept.deltas[tenant.tenant], tenant, settings)
    except Error as error:  # a delta that is no Parquet file, or has other columns
        raise PurgeRefused(f"the kept plan is damaged ({type(error).__name__}); make a new plan") from None


def sample(plan: Delta, count: int = 5) -> list[str]:
    """Return up to ``count`` ids that would be deleted, each as the beginning of its SHA-256: an id may be personal."""
    ids = (key for tenant in plan.tenants for block in islice(blocks(tenant), 1) for key, _ in block)
    return [hashlib.sha256(key.encode()).hexdigest()[:12] for key in islice(ids, count)]
