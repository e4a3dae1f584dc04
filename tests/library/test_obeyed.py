"""Is it this env file that the processes obey: judged by what they count, with the benefit of any doubt."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from drill.checks import obeyed
from drill.context import Drill
from drill.http import Reply
from drill.observation import Reading
from drill.proof import stead
from drill.record import Evidence
from drill.rollback import Rollback
from drill.steps.flags import disable_dual_write, disable_shadow_read, force_faiss
from drill.target import Target
from drill.verdict import Verdict
from tests.library.server import CLASSIC, Answer, ScriptedService, as_json, scripted
from tests.library.world import FAMILIES, Probes, make_drill, with_primary, with_probes

SEARCH = "/internal/retrieval/search"
FLAGS = {"FF_RETRIEVAL_DUAL_WRITE": "ON", "FF_RETRIEVAL_SHADOW_READ": "ON", "RETRIEVAL_BACKEND": "pgvector"}
STEPS = {
    "FF_RETRIEVAL_DUAL_WRITE": disable_dual_write,
    "FF_RETRIEVAL_SHADOW_READ": disable_shadow_read,
    "RETRIEVAL_BACKEND": force_faiss,
}
HOUR = 3600.0


class Instance:
    """One instance: what it has counted since its boot, and what each search adds."""

    def __init__(self, server: ScriptedService) -> None:
        self.url = server.url
        self.counts: dict[str, float] = {}
        self.each: dict[str, float] = {served("pgvector"): 1}
        self.started: float | None = time.time() + 1
        server.script["POST", SEARCH] = self.search
        server.script["GET", "/metrics"] = lambda _body: self.page()

    def search(self, _body: object) -> Answer:
        for name, count in self.each.items():
            self.counts[name] = self.counts.get(name, 0) + count
        return as_json({"results": []})

    def page(self) -> Answer:
        lines = [f"# TYPE {name}{'_total' * (kind == 'counter')} {kind}" for name, kind in FAMILIES.items()]
        lines += [f"{name} {value}" for name, value in self.counts.items()]
        lines += [f"process_start_time_seconds {self.started}"] if self.started else []
        return Answer("\n".join([*lines, ""]).encode(), kind=CLASSIC)


def served(backend: str) -> str:
    return f'retrieval_requests_total{{backend="{backend}"}}'


@pytest.fixture
def instance() -> Iterator[Instance]:
    with scripted() as server:
        yield Instance(server)


class Well:
    """Stands for a target that answers."""

    def close(self) -> None: ...


def drill_of(
    folder: Path,
    instance: Instance,
    values: Mapping[str, str | None],
    *,
    target: bool = True,
    more: str = "",
    hot: bool = False,
) -> Drill:
    env = "".join(f"{key}={value}\n" for key, value in {**FLAGS, **values}.items() if value is not None) + more
    reload = "" if hot else 'reload_command = ["true"]\n'
    drill = make_drill(folder, toml=f'[service]\ninstances = ["{instance.url}"]\n{reload}', env=env)
    if target:
        drill.open_target = lambda: cast("Target", Well())  # type: ignore[method-assign]
    return with_probes(with_primary(drill), Probes())


def seen(drill: Drill, key: str) -> Evidence:
    return STEPS[key](drill, Rollback(drill))[1]


@pytest.mark.parametrize("key", FLAGS)
def test_a_service_that_does_what_its_env_file_says_is_not_judged(tmp_path: Path, instance: Instance, key: str) -> None:
    """In an incident everything moves, and the file says so."""
    instance.counts = {served("pgvector"): 500, "retrieval_shadow_agreement_at_5": 80}
    assert seen(drill_of(tmp_path, instance, {}), key).verdict is Verdict.PASS


def test_a_backend_that_the_file_does_not_name_is_a_failure(tmp_path: Path, instance: Instance) -> None:
    """The file says FAISS already, the requests of just now are the target's."""
    instance.counts = {served("pgvector"): 500, served("faiss"): 20}
    evidence = seen(drill_of(tmp_path, instance, {"RETRIEVAL_BACKEND": "faiss"}), "RETRIEVAL_BACKEND")
    assert evidence.verdict is Verdict.FAIL
    assert evidence.reason.startswith("would be red after --apply: RETRIEVAL_BACKEND=faiss already, but")
    assert "no process obeys this env file" in evidence.reason
    assert instance.counts[served("pgvector")] == 500 + obeyed.ASKED


def test_a_process_that_has_switched_to_the_target_while_it_ran_is_seen_by_what_it_does_now(
    tmp_path: Path, instance: Instance
) -> None:
    """However many requests FAISS has answered since the boot."""
    instance.counts = {served("pgvector"): 3, served("faiss"): 500}
    evidence = seen(drill_of(tmp_path, instance, {"RETRIEVAL_BACKEND": "faiss"}), "RETRIEVAL_BACKEND")
    assert evidence.verdict is Verdict.FAIL


def test_where_prometheus_scrapes_the_instances_themselves_are_asked_what_they_do_now(
    tmp_path: Path, instance: Instance
) -> None:
    """Two scrapes may lie a minute apart; a dry-run does not wait for them."""
    instance.counts = {served("pgvector"): 500}
    drill = drill_of(tmp_path, instance, {"RETRIEVAL_BACKEND": "faiss"})

    def scraped(instances: tuple[str, ...], *, wait: bool) -> Reading:
        assert not wait
        return drill.direct.read(instances)

    drill.__dict__["source"] = SimpleNamespace(waits=True, read=scraped)
    assert seen(drill, "RETRIEVAL_BACKEND").verdict is Verdict.FAIL


def test_an_instance_that_does_not_answer_is_asked_once(
    tmp_path: Path, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each further search would cost as much time again."""
    instance.counts = {served("pgvector"): 500}
    drill = drill_of(tmp_path, instance, {"RETRIEVAL_BACKEND": "faiss"})
    asked: list[str] = []

    def search(url: str, *_: object) -> Reply:
        asked.append(url)
        return Reply(0, "", b"", 5.0, error="no answer", waited_s=5.0)

    monkeypatch.setattr(drill.service, "search", search)
    assert seen(drill, "RETRIEVAL_BACKEND").verdict is Verdict.PASS
    assert asked == [instance.url]


def test_the_only_backend_may_be_faiss_by_another_name(tmp_path: Path, instance: Instance) -> None:
    """The key that tells it is named; beside FAISS, or by the name of a target, it stays a failure."""
    instance.counts = {served("in_memory"): 500}
    instance.each = {served("in_memory"): 1}
    evidence = seen(drill_of(tmp_path, instance, {"RETRIEVAL_BACKEND": "faiss"}), "RETRIEVAL_BACKEND")
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert '[metrics.values] faiss = "in_memory"' in evidence.reason


def test_what_was_so_before_is_no_contradiction(tmp_path: Path, instance: Instance) -> None:
    """A process that has switched while it ran has counted both."""
    instance.counts = {served("pgvector"): 500}
    instance.each = {served("faiss"): 1}
    drill = drill_of(tmp_path, instance, {"RETRIEVAL_BACKEND": "faiss"}, hot=True)
    assert seen(drill, "RETRIEVAL_BACKEND").verdict is Verdict.PASS


def test_shadow_reads_that_count_as_requests_are_no_other_backend(tmp_path: Path, instance: Instance) -> None:
    """Every search is answered by FAISS and read again on the target."""
    instance.each = {served("faiss"): 1, served("pgvector"): 1}
    instance.counts = {served("pgvector"): 500, served("faiss"): 500}
    assert seen(drill_of(tmp_path, instance, {"RETRIEVAL_BACKEND": "faiss"}), "RETRIEVAL_BACKEND").verdict is (
        Verdict.PASS
    )


def test_a_process_that_does_not_tell_its_age_may_be_older_than_the_file(tmp_path: Path, instance: Instance) -> None:
    instance.counts, instance.started = {served("pgvector"): 500}, None
    evidence = seen(drill_of(tmp_path, instance, {"RETRIEVAL_BACKEND": "faiss"}), "RETRIEVAL_BACKEND")
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "older than the file's last change" in evidence.reason


@pytest.mark.parametrize("hot", [False, True])
def test_a_process_that_is_older_than_the_file_may_take_it_at_its_reload(
    tmp_path: Path, instance: Instance, hot: bool
) -> None:
    """Somebody has edited the file by hand and not restarted yet: that --apply does."""
    instance.counts, instance.started = {served("pgvector"): 500}, time.time() - HOUR
    drill = drill_of(tmp_path, instance, {"RETRIEVAL_BACKEND": "faiss"}, hot=hot)
    evidence = seen(drill, "RETRIEVAL_BACKEND")
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "older than the file's last change" in evidence.reason


def test_a_service_that_re_reads_by_itself_has_had_its_time(
    tmp_path: Path, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a reload command the age of the process says nothing, that of the file does."""
    instance.counts, instance.started = {served("pgvector"): 500}, time.time() - HOUR
    drill = drill_of(tmp_path, instance, {"RETRIEVAL_BACKEND": "faiss"}, hot=True)
    monkeypatch.setattr(obeyed, "_changed", lambda _drill: time.time() - HOUR)
    assert seen(drill, "RETRIEVAL_BACKEND").verdict is Verdict.FAIL


def test_attributes_of_the_file_count_as_its_change(tmp_path: Path, instance: Instance) -> None:
    """A file that was put back with its old time of modification is new all the same."""
    instance.counts, instance.started = {served("pgvector"): 500}, time.time() - HOUR
    drill = drill_of(tmp_path, instance, {"RETRIEVAL_BACKEND": "faiss"})
    os.utime(drill.env_file.path, (1.0, 1.0))
    assert seen(drill, "RETRIEVAL_BACKEND").verdict is Verdict.INCONCLUSIVE


def test_shadow_reads_that_the_file_switches_off_are_a_failure(tmp_path: Path, instance: Instance) -> None:
    """They were there since the boot, and they move now."""
    name = "retrieval_shadow_dropped_total"
    instance.counts, instance.each = {name: 50.0}, {served("pgvector"): 1, name: 1}
    drill = drill_of(tmp_path, instance, {"FF_RETRIEVAL_SHADOW_READ": "OFF"})
    evidence = seen(drill, "FF_RETRIEVAL_SHADOW_READ")
    assert evidence.verdict is Verdict.FAIL
    assert "shadow-read moved" in evidence.reason


def test_shadow_reads_that_only_a_gauge_shows_are_a_failure(tmp_path: Path, instance: Instance) -> None:
    """A service that shows its last agreement and counts nothing."""
    name = "retrieval_shadow_agreement_at_5"
    instance.counts, instance.each = {name: 0.5}, {served("pgvector"): 1, name: 0.01}
    drill = drill_of(tmp_path, instance, {"FF_RETRIEVAL_SHADOW_READ": "OFF"})
    assert seen(drill, "FF_RETRIEVAL_SHADOW_READ").verdict is Verdict.FAIL


def test_shadow_reads_of_the_past_are_no_contradiction(tmp_path: Path, instance: Instance) -> None:
    """A service that re-reads its file has stopped them since."""
    instance.counts = {"retrieval_shadow_dropped_total": 50.0}
    drill = drill_of(tmp_path, instance, {"FF_RETRIEVAL_SHADOW_READ": "OFF"}, hot=True)
    assert seen(drill, "FF_RETRIEVAL_SHADOW_READ").verdict is Verdict.PASS


@pytest.mark.parametrize(("age_s", "verdict"), [(0.0, Verdict.FAIL), (HOUR, Verdict.PASS)])
def test_dual_writes_that_fail_though_the_file_switches_them_off_are_a_failure(
    tmp_path: Path, instance: Instance, age_s: float, verdict: Verdict
) -> None:
    """Of processes that have read the file as it is; of older ones nothing is known."""
    instance.counts = {'retrieval_dual_write_errors_total{target="pgvector"}': 9.0}
    instance.started = time.time() + 1 - age_s
    drill = drill_of(tmp_path, instance, {"FF_RETRIEVAL_DUAL_WRITE": "OFF"})
    assert seen(drill, "FF_RETRIEVAL_DUAL_WRITE").verdict is verdict


def never_asked(instance: Instance, count: float = 500) -> None:
    instance.counts, instance.each = {served("faiss"): count}, {served("faiss"): 1}


@pytest.mark.parametrize(("target", "verdict"), [(True, Verdict.FAIL), (False, Verdict.INCONCLUSIVE)])
def test_a_target_that_is_well_and_was_never_asked_is_not_what_the_processes_go_by(
    tmp_path: Path, instance: Instance, target: bool, verdict: Verdict
) -> None:
    """Where the target cannot be seen to be well, a silent fallback may be the reason."""
    never_asked(instance)
    evidence = seen(drill_of(tmp_path, instance, {}, target=target), "RETRIEVAL_BACKEND")
    assert evidence.verdict is verdict
    assert "FAISS has answered every request since the boot" in evidence.reason


REASONS = [
    served("pgvector"),
    'retrieval_errors_total{backend="pgvector",code="timeout"}',
    'retrieval_fallback_total{to="faiss"}',
    'retrieval_dual_write_skipped_total{reason="circuit_open"}',
    'my_breaker_state{target="pgvector"}',
]


@pytest.mark.parametrize("reason", REASONS)
def test_a_fallback_that_is_counted_is_the_incident_and_no_contradiction(
    tmp_path: Path, instance: Instance, reason: str
) -> None:
    """FAISS answers in the stead of a sick target: the service is healthy."""
    never_asked(instance)
    instance.counts[reason] = 1
    assert seen(drill_of(tmp_path, instance, {}), "RETRIEVAL_BACKEND").verdict is Verdict.PASS


@pytest.mark.parametrize("reason", REASONS)
def test_a_fallback_that_never_happened_is_no_reason(tmp_path: Path, instance: Instance, reason: str) -> None:
    """Its counter stands at zero from the boot on."""
    never_asked(instance)
    instance.counts[reason] = 0
    assert seen(drill_of(tmp_path, instance, {}), "RETRIEVAL_BACKEND").verdict is Verdict.FAIL


@pytest.mark.parametrize("named", ["FAISS-GPU", "Faiss", None])
def test_a_backend_that_is_faiss_by_another_name_or_not_named_is_not_missed(
    tmp_path: Path, instance: Instance, named: str | None
) -> None:
    never_asked(instance)
    drill = drill_of(tmp_path, instance, {"RETRIEVAL_BACKEND": named})
    assert seen(drill, "RETRIEVAL_BACKEND").verdict is Verdict.PASS


def test_where_an_instance_cannot_be_read_it_may_be_the_one_that_asks_the_target(
    tmp_path: Path, instance: Instance
) -> None:
    never_asked(instance)
    with scripted() as other:
        toml = f'[service]\ninstances = ["{instance.url}", "{other.url}"]\nreload_command = ["true"]\n'
        env = "".join(f"{key}={value}\n" for key, value in FLAGS.items())
        drill = with_probes(with_primary(make_drill(tmp_path, toml=toml, env=env)), Probes())
        assert seen(drill, "RETRIEVAL_BACKEND").verdict is Verdict.PASS


@pytest.mark.parametrize("key", ["RETRIEVAL_TENANT_ALLOWLIST", "TARGET_TRAFFIC_PERCENT", "FF_CANARY"])
def test_a_target_that_is_given_to_a_part_of_the_traffic_need_not_be_seen(
    tmp_path: Path, instance: Instance, key: str
) -> None:
    """The drill's tenants may not be among those."""
    never_asked(instance)
    assert seen(drill_of(tmp_path, instance, {}, more=f"{key}=1\n"), "RETRIEVAL_BACKEND").verdict is Verdict.PASS


@pytest.mark.parametrize(("count", "verdict"), [(stead.LEAST - 1, Verdict.PASS), (stead.LEAST, Verdict.FAIL)])
def test_a_few_requests_show_nothing(tmp_path: Path, instance: Instance, count: int, verdict: Verdict) -> None:
    """A process that has just booted has asked nobody yet."""
    never_asked(instance, count=count - obeyed.ASKED)
    assert seen(drill_of(tmp_path, instance, {}), "RETRIEVAL_BACKEND").verdict is verdict


def test_without_metrics_nothing_is_judged(tmp_path: Path) -> None:
    """An env file is not doubted for want of evidence."""
    with scripted() as server:
        instance = Instance(server)
        del server.script["GET", "/metrics"]
        drill = drill_of(tmp_path, instance, {"RETRIEVAL_BACKEND": "faiss", "FF_RETRIEVAL_SHADOW_READ": "OFF"})
        assert {seen(drill, key).verdict for key in FLAGS} == {Verdict.PASS}
        (tmp_path / "other").mkdir()
        assert seen(drill_of(tmp_path / "other", instance, {}), "RETRIEVAL_BACKEND").verdict is Verdict.PASS
