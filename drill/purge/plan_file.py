"""A plan that was refused, kept for whoever looks into it."""

import json
import shutil
from pathlib import Path

from drill.purge.compare import DELTA
from drill.purge.model import Delta


def keep(plan: Delta, folder: Path) -> None:
    """Write ``plan.json`` (counts, digest) and each tenant's delta (ids, kind) to ``folder``, 0700. Raises OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    tenants = []
    for number, tenant in enumerate(plan.tenants):
        name = f"delta-{number:04d}.parquet"
        shutil.copyfile(tenant.folder / DELTA, folder / name)
        counts = {"in_faiss": tenant.primary_count, "on_target": tenant.target_count}
        kinds = {"orphans": tenant.orphans, "stale": tenant.stale, "missing": tenant.missing}
        tenants.append({"tenant": tenant.tenant, **counts, **kinds, "delta": name})
    content = {"schema": 1, "digest": plan.digest, "fraction": plan.fraction, "tenants": tenants}
    (folder / "plan.json").write_text(json.dumps(content, indent=1, ensure_ascii=True))
