"""What the proof of the flags sends to one instance at most: its words, and the canary."""

from drill.config import Config
from drill.metrics import workers

WORKERS = 4
"""How often a listed instance is asked for its flags: several processes may share its port."""
BALANCED = 16
"""How often the one address of instances that are not listed is asked."""
SHARED = workers.MOST
"""How often at most an instance is asked whose workers name themselves."""
MOST = 16
"""Canaries that are written; where instances and tenants are more, every instance and every tenant still has one."""
UNLISTED = 8
"""Canaries through the one address of instances that are not listed, each on a new connection."""
ROWS = 6
"""How often the flags are asked for in a rollback: three steps, two rows after it, and a dry-run's look."""
RUNG = 6
"""How often they are asked for on one rung: it is held twice at most, or fallen back to."""


def proof_requests(config: Config, *, apply: bool, rungs: int) -> int:
    """Return how many requests prove the flags; ``rungs`` are those of the ladder that are taken, ways back included.

    A canary is written and deleted, and once more if it came late; what an earlier drill has left is deleted before it.
    """
    service, canary = config.service, config.canary
    often = SHARED if service.worker_id else WORKERS if service.instances else BALANCED
    words = often * (ROWS + RUNG * rungs) if service.flags_path else 0
    tenants = len(service.tenants) if canary.tenant == "*" else 1
    birds = max(MOST, len(service.urls), tenants) if canary.tenant and apply else 0
    return words + 4 * birds * (1 + rungs)
