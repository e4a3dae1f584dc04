"""Rehearsing the new env file: a throw-away instance comes up on it, answers from FAISS without the target, and stops.

Before anything is touched this finds what a rollback would otherwise find in production: strict settings that refuse
the file, no or another FAISS behind it, a service that needs the target even in FAISS mode.
"""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from drill.checks.smoke import search_at
from drill.checks.unknown_names import is_it_faiss, only_backend_of
from drill.context import Drill
from drill.errors import CannotMeasure
from drill.metrics.snapshot import Snapshot
from drill.record import Evidence, Scalar
from drill.rehearsal.private import Fingerprint, Overridden, Scene, fingerprint, private_scene
from drill.rehearsal.process import ThrowAway, free_port
from drill.verdict import Verdict

POLL_S = 0.1
TOTAL = "retrieval_requests_total"


def rehearse(drill: Drill) -> Evidence:
    """Start the service on the would-be env file and judge what it does; the running service is not touched."""
    settings = drill.config.rehearsal
    if not settings.command:
        return Evidence(Verdict.NOT_RUN, "no [rehearsal] command: what the service makes of the new env is not known")
    if drill.apply:
        return Evidence(Verdict.NOT_RUN, "only a dry-run rehearses")
    keys = Overridden(
        primary=settings.primary_env,
        target=settings.target_env or drill.config.target.address_env,
        relative_to=drill.env_file.path.parent,
        max_bytes=settings.max_copy_mib << 20,
    )
    with private_scene(drill.plan.new_bytes, drill.env_values, keys) as scene:
        return _Rehearsal(drill, scene, free_port()).run()


@dataclass
class _Rehearsal:
    """One throw-away instance from start to stop."""

    drill: Drill
    scene: Scene
    port: int
    _detail: dict[str, Scalar] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self) -> Evidence:
        before = self._files()
        command = [_filled(word, self.scene.env_file, self.port) for word in self.drill.config.rehearsal.command]
        began = time.monotonic()
        try:
            instance = ThrowAway(command, {**os.environ, "DRILL_ENV_FILE": str(self.scene.env_file)})
        except OSError as error:
            name = Path(command[0]).name
            return Evidence(Verdict.FAIL, f"{name!r} could not be started ({type(error).__name__}); check the command")
        try:
            problem = self._boots(instance)
            self._detail["seconds to healthy"] = round(time.monotonic() - began, 2)
            evidence = Evidence(Verdict.FAIL, problem) if problem else self._answers(instance)
            stopped = instance.stop(self.drill.config.rehearsal.stop_timeout_s)
        finally:
            instance.close()
        return self._conclude(evidence, before, stopped=stopped)

    def _boots(self, instance: ThrowAway) -> str:
        """Wait until it is healthy on its port; return what is wrong, empty if nothing is."""
        limit = self.drill.config.rehearsal.boot_timeout_s
        deadline = time.monotonic() + limit
        path = self.drill.config.service.health_path
        while True:
            reply = self.drill.client.get(self.url + path)
            if taken := instance.ports() & self._real_ports():
                return f"the rehearsal instance listens on the running service's port {min(taken)}: use {{port}}"
            if reply.ok and self.port in (instance.ports() or {self.port}):
                return ""
            if (code := instance.exit_code) is not None:
                return f"the service ended with exit code {code} on the new env file: it would not come up"
            if time.monotonic() > deadline:
                return f"not healthy on its port within {limit:g} s on the new env file ({reply.seen()})"
            self.drill.tick("rehearsing: a throw-away instance starts on the new env file")
            time.sleep(POLL_S)

    def _answers(self, instance: ThrowAway) -> Evidence:
        """Ask every query; FAISS must have served all of them, by its own metrics."""
        try:
            before = self.drill.direct.snapshot(self.url)
            evidence = search_at(self.drill, (self.url,))
            after = self.drill.direct.snapshot(self.url)
        except CannotMeasure as problem:
            return Evidence(Verdict.INCONCLUSIVE, f"the rehearsal instance: {problem}")
        if taken := instance.ports() & self._real_ports():
            return Evidence(Verdict.FAIL, f"the rehearsal instance listens on the running service's port {min(taken)}")
        if evidence.verdict is not Verdict.PASS:
            return evidence
        return self._served(evidence, before, after)

    def _served(self, evidence: Evidence, before: Snapshot, after: Snapshot) -> Evidence:
        """Judge whether FAISS, and nothing else, served the queries, by the instance's own count."""
        asked = evidence.samples or 0
        by_faiss = after.total(TOTAL, backend="faiss") - before.total(TOTAL, backend="faiss")
        others = after.total(TOTAL) - before.total(TOTAL) - by_faiss
        if others > 0 and (name := only_backend_of(self.drill, [after])):
            return evidence.judged(Verdict.INCONCLUSIVE, is_it_faiss(name))
        if others > 0:
            return evidence.judged(
                Verdict.FAIL, f"{others:g} of {asked} queries were served by another backend than FAISS"
            )
        if by_faiss < asked:
            return evidence.judged(Verdict.INCONCLUSIVE, f"FAISS counted {by_faiss:g} of {asked} queries")
        target = "with the target out of reach" if self.scene.target_cut else "the target could not be put out of reach"
        queries = f"{asked} {'query' if asked == 1 else 'queries'}"
        reason = f"came up on the new env file ({target}), {queries} answered by FAISS, and stopped"
        return evidence.judged(Verdict.PASS, reason)

    def _conclude(self, evidence: Evidence, before: Fingerprint, *, stopped: bool) -> Evidence:
        detail = {**self._detail, **evidence.detail, "FAISS data": "a copy" if self.scene.faiss_dir else "its own"}
        problems = []
        if self._files() != before:
            problems.append("the rehearsal instance wrote to its FAISS data, which a search must not")
        if not stopped:
            patience = self.drill.config.rehearsal.stop_timeout_s
            problems.append(f"it did not stop within {patience:g} s of SIGTERM and was killed: a restart would hang")
        if problems:
            told = [evidence.reason] if evidence.verdict is Verdict.FAIL else []
            return Evidence(Verdict.FAIL, "; ".join([*told, *problems]), detail=detail)
        return Evidence(
            evidence.verdict,
            evidence.reason,
            evidence.value,
            evidence.op,
            evidence.threshold,
            evidence.samples,
            unit=evidence.unit,
            detail=detail,
        )

    def _files(self) -> Fingerprint:
        return fingerprint(self.scene.faiss_dir) if self.scene.faiss_dir else {}

    def _real_ports(self) -> set[int]:
        """Return the ports of the running service, where it runs on this machine or could."""
        parts = [urlsplit(url) for url in self.drill.config.service.urls]
        return {part.port or (443 if part.scheme == "https" else 80) for part in parts}


def _filled(word: str, env_file: Path, port: int) -> str:
    return word.replace("{env_file}", str(env_file)).replace("{port}", str(port))
