"""``python -m drill purge plan|run|undo|status``, against a real target, as an operator runs it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from drill.__main__ import main
from drill.envfile import EnvFile
from drill.environment import environment_id
from drill.errors import DrillError, Refused, UsageError
from drill.events import EventLog
from drill.purge import dual_write
from drill.purge.earlier import FAISS_SEEN, lost_before
from drill.purge.kept import kept
from drill.purge.owner import Claim, owner_of
from drill.purge.standalone import Request, standalone
from drill.record import Scalar
from tests.purge.world import Killed, World, die, documents

PASSED = {"id": "disable_dual_write", "outcome": "applied", "verdict": "pass", "proof": "effect"}


@dataclass
class Service:
    """An instance that serves metrics; ``growth`` is what each reading adds to the dual-write errors."""

    url: str
    growth: int = 0
    reason: str = ""
    reads: int = 0
    families: tuple[str, ...] = ("retrieval_dual_write_errors", "retrieval_dual_write_skipped")

    def exposition(self) -> bytes:
        self.reads += 1
        count = self.growth * self.reads
        moving, label = self.families[:1], 'target="pgvector"'
        if self.reason:
            moving, label = self.families[1:], f'reason="{self.reason}"'
        samples = {name: f"{name}_total{{{label}}} {count}.0\n" for name in moving}
        return (
            "".join(f"# TYPE {name} counter\n{samples.get(name, '')}" for name in self.families)
            + "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1.0\n# EOF\n"
        ).encode()


@pytest.fixture
def service() -> Iterator[Service]:
    """Serve metrics."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = serving.exposition()
            self.send_response(200)
            self.send_header("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = Service(f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield serving
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Post:
    """Where an operator purges from."""

    world: World
    env_file: Path
    artifacts: Path
    capture: pytest.CaptureFixture[str]
    config: dict[str, Any] = field(default_factory=dict)

    def write_env(self, dual_write: str = "OFF") -> None:
        flags = f"FF_RETRIEVAL_DUAL_WRITE={dual_write}\nFF_RETRIEVAL_SHADOW_READ=OFF\nRETRIEVAL_BACKEND=faiss\n"
        self.env_file.write_text(f"{flags}PGVECTOR_DSN='{self.world.dsn}'\n")

    def write_config(self, base_url: str, **purge: float) -> None:
        bounds = "".join(f"{key} = {value}\n" for key, value in ({"max_fraction": 0.5, "batch": 5} | purge).items())
        self.env_file.with_name("drill.toml").write_text(
            f'[service]\nbase_url = "{base_url}"\ntenants = ["a"]\n[primary]\npath = "faiss"\n'
            f'[target]\nkind = "pgvector"\ndsn_env = "PGVECTOR_DSN"\ntable = "{self.world.table}"\n[purge]\n{bounds}'
        )

    def journal(self, *steps: dict[str, str], **changes: object) -> None:
        """Write a journal in which a drill of this env ended with ``steps``."""
        self.artifacts.mkdir(exist_ok=True)
        known = {"env_file": self.env_file.name, "env_id": environment_id(self.env_file), "drill_id": "earlier"}
        entry = {**known, "restored": False, "steps": steps, **changes}
        with (self.artifacts / "rollback_drill_log.ndjson").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def purge(self, *words: str) -> tuple[int, str]:
        """Run a command and return exit code and output."""
        where = ["--artifacts-dir", str(self.artifacts)]
        who = ["--env-file", str(self.env_file), "--operator", "tester"] if words[0] != "status" else []
        code = main(["purge", *words, *who, *where])
        seen = self.capture.readouterr()
        assert self.world.dsn not in seen.out + seen.err
        return code, seen.out + seen.err

    def claim(self) -> Claim:
        """Return whose a purge of this env file is, for one that is to be killed."""
        with standalone(Request("plan", self.env_file, None, self.artifacts, "me")) as drill:
            drill.events.event("purge_end", status="planned")
            return Claim(lambda target: owner_of(drill, target))

    def planned(self) -> str:
        """Make a plan and return its hash."""
        code, output = self.purge("plan")
        assert code == 0, output
        return str(re.findall(r"^plan ([0-9a-f]{16})$", output, re.MULTILINE)[0])


@pytest.fixture
def post(world: World, service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Post:
    """Return a place where dual-write is proven off."""
    monkeypatch.setattr(dual_write, "WATCH_S", 0.05)
    made = Post(world, world.root / "service.env", world.root / "artifacts", capsys)
    made.write_env()
    made.write_config(service.url)
    made.journal(PASSED)
    return made


def test_plan_shows_counts_fraction_hashed_ids_and_changes_nothing(post: Post, world: World) -> None:
    """No id itself is shown, and the plan is kept under its hash."""
    world.seed()
    before = world.dump()
    code, output = post.purge("plan")
    assert code == 0, output
    assert "210 documents in FAISS, 212 on the target; 5 orphans, 7 stale, 3 missing (kept)" in output
    assert "would delete 12 of 212 documents (5.66%)" in output
    assert not re.search(r"\bd\d+\b", output)
    assert len(re.findall(r"\b[0-9a-f]{12}\b", output)) == 5
    assert world.dump() == before
    assert re.search(r"purge run --plan [0-9a-f]{16}", output)


def test_plan_shows_vector_drift_where_it_is_looked_for(post: Post, world: World, service: Service) -> None:
    """The world's two sides have other vectors: all that agree drift; without the key nothing is said of it."""
    world.seed()
    assert "vector drift" not in post.purge("plan")[1]
    post.write_config(service.url, drift_sample=50)
    code, output = post.purge("plan")
    assert code == 0, output
    assert re.search(r"vector drift \(same content, kept\): (\d+) of \1 sampled", output), output


def test_the_same_delta_has_the_same_hash(post: Post, world: World) -> None:
    """A plan is named by what it says."""
    world.seed()
    first = post.planned()
    assert post.planned() == first
    world.write({"another": "orphan"})
    assert post.planned() != first


def test_run_carries_the_plan_out_and_undo_brings_the_same_bytes_back(post: Post, world: World) -> None:
    """Plan, run, status, undo: each ends with 0, and after undo the table is what it was."""
    seeded = world.seed()
    before = world.dump()
    plan = post.planned()
    code, output = post.purge("run", "--plan", plan)
    assert code == 0, output
    assert output.startswith(f"purged: {seeded} documents deleted")
    assert "VACUUM or REINDEX" in output
    assert world.ids() == set(documents(range(200)))
    run = re.findall(r"purge undo (\S+)", output)[0]
    code, output = post.purge("status")
    assert f"quarantine {seeded} documents; purged, 0 left" in output
    code, output = post.purge("undo", run)
    assert (code, f"{seeded} documents are on the target as they were" in output) == (0, True), output
    assert world.dump() == before


def drilled(post: Post, name: str, **facts: Scalar) -> None:
    """Leave the events of a drill that has looked for what FAISS had lost."""
    events = EventLog(post.artifacts / "drills" / name)
    events.event("start", env_file=post.env_file.name, env_id=environment_id(post.env_file))
    events.event(FAISS_SEEN, **facts)
    events.close()


def test_a_plan_says_what_only_a_drill_knows_and_a_purge_of_it_settles_that(post: Post, world: World) -> None:
    """What FAISS held before the rollback is not known to it; what a drill saw is shown until a plan was run."""
    world.seed()
    work_dir, mine = post.artifacts / "drills" / "now", environment_id(post.env_file)
    drilled(post, "20200101T000000Z-a", lost="8 documents are gone", few=True)
    _, output = post.purge("plan")
    assert "not known here: what FAISS held before the rollback" in output
    assert "seen by a drill: 20200101T000000Z-a: 8 documents are gone" in output
    assert lost_before(work_dir, mine)
    assert not lost_before(work_dir, mine, expect_deletes=True)
    assert not lost_before(work_dir, "another environment")
    assert post.purge("run", "--plan", post.planned())[0] == 0
    assert not lost_before(work_dir, mine)


def test_a_later_drill_that_saw_no_loss_settles_an_earlier_one(post: Post) -> None:
    work_dir, mine = post.artifacts / "drills" / "now", environment_id(post.env_file)
    drilled(post, "20200101T000000Z-a", lost="11 documents are gone", few=False)
    assert lost_before(work_dir, mine, expect_deletes=True)
    drilled(post, "20200102T000000Z-b", lost="", few=True)
    assert not lost_before(work_dir, mine)


def test_running_a_plan_again_finds_nothing(post: Post, world: World) -> None:
    """Idempotent."""
    world.seed()
    plan = post.planned()
    post.purge("run", "--plan", plan)
    code, output = post.purge("run", "--plan", plan)
    assert (code, output.startswith("nothing_to_purge")) == (0, True), output


def test_no_delta_is_nothing_to_purge_and_keeps_no_plan(post: Post, world: World) -> None:
    world.faiss(documents(range(20)))
    world.write(documents(range(20)))
    code, output = post.purge("plan")
    assert (code, "nothing_to_purge" in output) == (0, True), output
    assert "no plan and no quarantine" in post.purge("status")[1]


def test_a_delta_that_grew_beyond_the_plan_is_refused(post: Post, world: World) -> None:
    """Eleven documents that the plan did not show are one too many; ten are within the bound."""
    world.seed()
    plan = post.planned()
    world.write(documents(range(2000, 2011)))
    before = world.dump()
    code, output = post.purge("run", "--plan", plan)
    assert (code, world.dump()) == (11, before), output
    assert "11 documents differ now that the plan did not show" in output
    world.execute("DELETE FROM {} WHERE id = 'd2010'")
    assert post.purge("run", "--plan", plan)[0] == 0
    assert world.ids() == set(documents(range(200)))


def test_a_plan_over_max_fraction_is_shown_kept_and_refused(post: Post, world: World, service: Service) -> None:
    """11, with the reason; once the bound is raised, the kept plan can be run."""
    world.seed()
    post.write_config(service.url, max_fraction=0.05)
    code, output = post.purge("plan")
    assert (code, "run would refuse this plan: 12 of the target's 212" in output) == (11, True), output
    plan = re.findall(r"^plan ([0-9a-f]{16})$", output, re.MULTILINE)[0]
    assert post.purge("run", "--plan", plan)[0] == 11
    assert len(world.ids()) == 212
    post.write_config(service.url)
    assert post.purge("run", "--plan", plan)[0] == 0


def test_no_time_left_is_10_and_says_how_to_go_on(post: Post, world: World) -> None:
    """The line that goes on is printed, and works."""
    world.seed()
    plan = post.planned()
    code, output = post.purge("run", "--plan", plan, "--time-budget", "0.000001")
    assert code == 10, output
    assert f"to go on: python -m drill purge run --plan {plan}" in output
    assert post.purge("run", "--plan", plan)[0] == 0


def test_a_target_that_is_down_is_10(post: Post, world: World) -> None:
    """Could not compare: neither green nor red."""
    world.seed()
    post.env_file.write_text(post.env_file.read_text().replace(world.dsn, "postgresql://u@127.0.0.1:1/db"))
    code, output = post.purge("plan")
    assert (code, "connection refused" in output) == (10, True), output


# --- dual-write must be proven off ----------------------------------------------------------------------------------


def refused(post: Post, world: World) -> str:
    """Plan and run; assert that nothing was deleted and return the one line."""
    world.seed()
    plan = post.planned()
    before = world.dump()
    code, output = post.purge("run", "--plan", plan)
    assert (code, world.dump()) == (11, before), output
    assert len(output.splitlines()) == 1
    listed = post.purge("status")[1]
    assert ("refused" in listed, "ended early" in listed) == (True, False), listed
    return output


def test_run_refuses_while_the_flag_is_on(post: Post, world: World) -> None:
    post.write_env("ON")
    assert "FF_RETRIEVAL_DUAL_WRITE is not OFF" in refused(post, world)


def test_run_refuses_without_a_drill_that_proved_it(post: Post, world: World) -> None:
    """A rehearsal that would change the flag, a drill of another environment or of none prove nothing."""
    (post.artifacts / "rollback_drill_log.ndjson").unlink()
    post.journal(PASSED, env_id="0123456789abcdef")
    post.journal(PASSED, env_id="")
    post.journal({**PASSED, "outcome": "would_change"})
    assert "no drill of service.env in the journal" in refused(post, world)


@pytest.mark.parametrize(
    "later", [{"steps": [{**PASSED, "verdict": "fail"}]}, {"restored": True}], ids=["failed", "restored"]
)
def test_run_refuses_if_the_last_drill_did_not_prove_it(post: Post, world: World, later: dict[str, object]) -> None:
    """What counts is the last drill that looked, not the best one."""
    post.journal(PASSED, **later)
    assert "drill earlier found disable_dual_write" in refused(post, world)


@pytest.mark.parametrize(
    ("proof", "said"),
    [("restart", "by a restart only"), ("started", "may read otherwise"), (None, "journal line does not tell")],
)
def test_run_refuses_if_dual_write_was_not_proven_by_effect_or_by_the_process(
    post: Post, world: World, proof: str | None, said: str
) -> None:
    """A line of an older drill does not tell what its proof rested on: the drill is run again."""
    step = {name: value for name, value in {**PASSED, "proof": proof}.items() if value}
    post.journal(step)
    assert said in refused(post, world)


def test_run_refuses_while_the_service_writes(post: Post, world: World, service: Service) -> None:
    service.growth = 1
    assert "retrieval_dual_write_errors_total moved" in refused(post, world)


def test_writes_skipped_because_the_flag_is_off_are_no_objection(post: Post, world: World, service: Service) -> None:
    """That counter moving is the very proof."""
    world.seed()
    service.growth, service.reason = 1, "disabled"
    assert post.purge("run", "--plan", post.planned())[0] == 0


@pytest.mark.parametrize("families", [(), ("retrieval_dual_write_errors",)])
def test_run_refuses_if_the_service_does_not_show_its_writes(
    post: Post, world: World, service: Service, families: tuple[str, ...]
) -> None:
    service.families = families
    assert "does not expose" in refused(post, world)


def test_run_refuses_if_the_service_cannot_be_asked(post: Post, world: World) -> None:
    post.write_config("http://127.0.0.1:9")
    assert "metrics of http://127.0.0.1:9" in refused(post, world)


# --- lock, usage, the journal of drills -----------------------------------------------------------------------------


def test_run_and_undo_take_the_lock_of_a_drill(post: Post, world: World) -> None:
    world.seed()
    plan = post.planned()
    with EnvFile.open(post.env_file, intents=_Intents()):
        for words in (("run", "--plan", plan), ("undo", "anything")):
            code, output = post.purge(*words)
            assert (code, "is held by" in output) == (11, True), output
    assert len(world.ids()) == 212


class _Intents:
    def intent(self, action: str, **facts: object) -> None:
        pass

    def done(self, action: str, **facts: object) -> None:
        pass


@pytest.mark.parametrize("plan", ["0" * 16, "abc", "../../../"])
def test_an_unknown_plan_is_wrong_usage(post: Post, plan: str) -> None:
    code, output = post.purge("run", "--plan", plan)
    assert (code, "--plan" in output, len(output.splitlines())) == (4, True, 1), output
    assert not (post.artifacts / "drills").exists()


def test_undo_of_what_never_was_is_wrong_usage_and_leaves_nothing_behind(post: Post, world: World) -> None:
    """Also beside others' plans, which stay."""
    world.seed()
    post.planned()
    before = post.purge("status")
    code, output = post.purge("undo", "nobody")
    assert (code, "no drill or purge 'nobody'" in output, len(output.splitlines())) == (4, True, 1), output
    assert post.purge("status") == before


@pytest.mark.parametrize("problem", [UsageError("x"), Refused("x")], ids=["usage", "refused"])
def test_what_may_have_deleted_something_stays_whatever_ends_it(post: Post, world: World, problem: DrillError) -> None:
    """Its quarantine is found by its events, and the next run settles it."""

    def fail_halfway() -> None:
        with standalone(Request("run", post.env_file, None, post.artifacts, "me")) as drill:
            drill.events.event("purge_quarantine", tenant="a", batch=1, documents=1)
            raise problem

    world.seed()
    with pytest.raises(type(problem)):
        fail_halfway()
    assert "was ended early: run it again" in post.purge("status")[1]


def test_undo_of_what_deleted_nothing_is_wrong_usage(post: Post, world: World) -> None:
    """A plan has no quarantine."""
    world.seed()
    post.planned()
    (plan,) = kept(post.artifacts)
    code, output = post.purge("undo", plan.folder.name)
    assert (code, "deleted nothing" in output, len(output.splitlines())) == (4, True, 1), output


def test_undo_of_another_envs_purge_is_refused(post: Post, world: World) -> None:
    """Documents of one environment must not end up in another."""
    world.seed()
    post.purge("run", "--plan", post.planned())
    run = next(found.folder.name for found in kept(post.artifacts) if found.kind == "run")
    other = post.env_file.with_name("other.env")
    other.write_bytes(post.env_file.read_bytes())
    post.env_file = other
    code, output = post.purge("undo", run)
    assert (code, len(output.splitlines())) == (11, 1), output
    assert re.search(r"is of pgvector docs_\w+ .* of service.env .*, this is pgvector docs_\w+ .* of other.env", output)
    assert post.purge("undo", run, "--moved")[0] == 0, "the same target, and said to be on purpose"


def test_a_purge_writes_no_line_into_the_journal_of_drills(post: Post, world: World) -> None:
    """One line per drill, and a purge is none; nor is it taken for a killed drill."""
    from drill.unfinished import find_unfinished

    world.seed()
    before = (post.artifacts / "rollback_drill_log.ndjson").read_bytes()
    post.purge("run", "--plan", post.planned())
    assert (post.artifacts / "rollback_drill_log.ndjson").read_bytes() == before
    assert find_unfinished(post.artifacts) == []


def test_what_a_killed_drill_left_pending_is_settled_by_the_next_run(post: Post, world: World) -> None:
    """Its quarantine then holds exactly what it deleted, and both together hold the delta."""
    seeded = world.seed()
    plan = post.planned()
    killed = post.artifacts / "drills" / "20250101T000000Z-killed"
    killed.mkdir(parents=True)
    mine = {"env_file": "service.env", "env_id": environment_id(post.env_file)}
    start = {"seq": 0, "t": "", "kind": "start", "drill_id": killed.name, **mine}
    (killed / "events.ndjson").write_text(json.dumps(start) + "\n")
    with pytest.raises(Killed):
        world.purge(target=world.meddling("present", 2, die), work_dir=killed, claim=post.claim()).run()
    assert "2 parts not confirmed" in post.purge("status")[1]
    assert post.purge("run", "--plan", plan)[0] == 0
    held = {found.folder.name: found for found in kept(post.artifacts)}
    counts = [(found.documents(), found.pending) for found in held.values() if found.quarantine.is_dir()]
    assert counts == [(5, 0), (seeded - 5, 0)]
