"""Workers that share a port: a proof that one of them may have been left out of is none."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drill.observation import Window
from drill.proof.canary import Canary
from drill.proof.sent import SHARED, proof_requests
from drill.proof.shared import UNKNOWN, enough, left_out, too_few
from drill.proof.spoken import ask
from drill.rollback import Rollback
from drill.steps import flags
from drill.verdict import Verdict
from tests.library.server import ScriptedService, as_json, running
from tests.library.world import A, B, make_drill, probes, reading, snapshot, window
from tests.proof.desk import DELETES, Desk
from tests.proof.stores import FAISS, INGEST, TOML, Stores, drill_on, judged

OFF = {"dual_write": False, "shadow_read": False, "backend": "faiss"}
ONE = TOML.replace(f'"{A}", "{B}"', f'"{A}"')
WORKER_ID = 'worker_id = "header:X-Worker"\n'


def with_workers(seen: Window, many: int) -> Window:
    """Return the window with so many workers on each instance."""
    ids = frozenset(f"w{number}" for number in range(many))
    met = {name: replace(page, workers=ids) for name, page in seen.last.snapshots.items()}
    return replace(seen, last=replace(seen.last, snapshots=met))


def alone() -> Window:
    """Return a window in which the only instance served its probes."""
    return window([snapshot(A, {FAISS: 5})], [snapshot(A, {FAISS: 25})], probes(20, (A,)))


@pytest.mark.parametrize(
    ("workers", "documents", "verdict"),
    [
        (0, 1, Verdict.PASS),  # nobody names itself: one process, or its pages show that they are several
        (1, 1, Verdict.PASS),
        (2, 2, Verdict.INCONCLUSIVE),
        (2, 4, Verdict.INCONCLUSIVE),  # 1 in 16
        (2, 5, Verdict.PASS),  # 1 in 32
        (8, 22, Verdict.INCONCLUSIVE),
        (8, 23, Verdict.PASS),
    ],
)
def test_few_documents_prove_no_worker_that_may_have_written_none(
    tmp_path: Path, workers: int, documents: int, verdict: Verdict
) -> None:
    """Each of them went through any of the workers; the row says how likely one was left out, and what to add."""
    drill = drill_on(tmp_path, stores := Stores(), toml=ONE)
    writes = {f"n{number}": "x" for number in range(documents)}
    evidence = judged(drill, stores, seen=with_workers(alone(), workers), a=writes)
    assert evidence.verdict is verdict
    assert ("[service] flags_path)" in f"{evidence.reason}".rpartition("each by any of")[2]) == (
        verdict is Verdict.INCONCLUSIVE
    )


@pytest.mark.parametrize(("written", "verdict"), [(3, Verdict.INCONCLUSIVE), (6, Verdict.PASS)])
def test_of_several_instances_each_one_s_own_count_of_writes_tells(
    tmp_path: Path, written: int, verdict: Verdict
) -> None:
    """Three writes through each instance leave one of two workers out too often, though both together took six."""
    drill = drill_on(tmp_path, stores := Stores())
    writes = {f"n{number}": "x" for number in range(2 * written)}
    before = [snapshot(name, {FAISS: 5, INGEST: 1}) for name in (A, B)]
    after = [snapshot(name, {FAISS: 25, INGEST: 1 + written}) for name in (A, B)]
    seen = with_workers(window(before, after, probes(20, (A, B))), 2)
    assert judged(drill, stores, seen=seen, a=writes).verdict is verdict


def test_an_instance_of_several_workers_gets_as_many_canaries_as_there_may_be(desk: Desk) -> None:
    """Each pair of instance and tenant the same number, and no more than were announced."""
    canary = Canary(drill := desk.drill(more=DELETES + WORKER_ID))
    canary.announce()
    pairs = Counter((bird.url, bird.tenant) for bird in canary.birds)
    assert (len(pairs), set(pairs.values())) == (4, {4})
    assert len({bird.id for bird in canary.birds}) == 16
    assert 4 * len(canary.birds) <= proof_requests(drill.config, apply=True, rungs=0)


def test_canaries_prove_a_few_workers_and_not_many(desk: Desk) -> None:
    """Eight through each instance: of two workers one is left out once in 256 times, of four once in ten."""
    drill = desk.drill(more=DELETES + WORKER_ID)
    desk.window = lambda _counted=0, plain=desk.window: with_workers(plain(), 2)  # type: ignore[method-assign,misc]
    evidence = desk.judged(drill)
    assert (evidence.verdict, evidence.proof, desk.left) == (Verdict.PASS, "effect", [])
    desk.window = lambda _counted=0, plain=desk.window: with_workers(plain(), 4)  # type: ignore[method-assign,misc]
    evidence = desk.judged(drill)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "8 documents written since, each by any of 4 workers" in evidence.reason


@pytest.mark.parametrize(("workers", "asked"), [(0, enough(UNKNOWN)), (2, 10), (8, 52), (500, SHARED)])
def test_workers_are_asked_for_their_flags_until_none_is_left_out(tmp_path: Path, workers: int, asked: int) -> None:
    """One that still has the flag on is heard; how often that takes follows from how many there are."""
    with running(ScriptedService()) as server:
        answers = iter([*[OFF] * (asked - 1), {**OFF, "dual_write": True}])
        server.script["GET", "/flags"] = lambda _body: as_json(next(answers))
        toml = f'[service]\nbase_url = "{server.url}"\ninstances = ["{server.url}"]\nflags_path = "/flags"\n{WORKER_ID}'
        said: Any = ask(make_drill(tmp_path, toml=toml), workers=workers)
        assert [flag for flag, back in said[server.url].rolled_back.items() if not back] == ["dual_write"]
        assert server.asked.count(("GET", "/flags")) == asked


@pytest.mark.parametrize(
    ("before", "after", "verdict", "named"),
    [
        ({"w1", "w2"}, {"w2", "w3"}, Verdict.FAIL, True),
        ({"w1", "w2"}, {"w2", "w3"}, Verdict.PASS, False),  # one that has ended its last requests since
        ({"w1", "w2"}, {"w3", "w4"}, Verdict.FAIL, False),
        ({"w1", "w2"}, {"w1", "w2"}, Verdict.FAIL, False),  # no restart at all, which is said already
    ],
)
def test_old_workers_that_answer_beside_new_ones_are_named(
    tmp_path: Path, before: set[str], after: set[str], verdict: Verdict, named: bool
) -> None:
    """A second process on the port is what to end; the flags of the new one are in order."""
    drill = make_drill(tmp_path, toml=f'[service]\ninstances = ["{A}"]\n')
    drill.before, drill.settled = (
        reading(at, replace(snapshot(A), workers=frozenset(ids))) for at, ids in enumerate((before, after))
    )
    drill.reload_began = 0.5
    told = flags._reloaded(drill, Rollback(drill), verdict)
    assert ("of the workers from before the reload 1 still answer on a:1, beside new ones (w2)" in told) == named


def test_how_likely_a_worker_is_left_out() -> None:
    """Of one none; of more, by how many requests there were; and so many are enough."""
    assert (left_out(1, 0), left_out(2, 1), left_out(2, 5)) == (0.0, 0.5, 1 / 32)
    assert (enough(1), enough(2), enough(500)) == (1, 10, SHARED)
    assert too_few(1, 1) == too_few(2, 5) == ""
    assert too_few(2, 1).startswith("1 document written since, each by any of 2 workers: one that still writes")
