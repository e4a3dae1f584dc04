"""What a dry-run must show: whatever would go wrong is red at the rehearsal, before anything was touched."""

from sandbox.faults.expected.model import FAIL, Expected


def _rehearsed(why: str, *says: str, fault: str = "") -> Expected:
    return Expected({"preflight.rehearsal": FAIL}, why, result="failure", mode="rehearsal", says=says, fault=fault)


REHEARSAL: dict[str, Expected] = {
    "crash_on_boot_rehearsed": _rehearsed(
        "the throw-away instance ends instead of coming up", "exit code 1", fault="crash_on_boot"
    ),
    "needs_target_at_boot": _rehearsed("the throw-away instance cannot reach the target", "exit code 1"),
    "no_faiss_in_image": _rehearsed("the throw-away instance does not become healthy", "not healthy"),
    "rehearsal_takes_real_port": _rehearsed(
        "what the instance listens on is looked up, not asked", "listens on the running service's port"
    ),
    "rehearsal_never_stops": _rehearsed("an instance that ignores SIGTERM hangs a restart too", "did not stop"),
    "rehearsal_writes_index": _rehearsed(
        "the copy of the FAISS data is compared before and after", "wrote to its FAISS data"
    ),
}
