"""A service that takes its env file by restarting, late, twice or never, and drills of its rollback."""

import json
import time
from dataclasses import replace
from pathlib import Path

from drill.context import Drill
from tests.library.server import CLASSIC, Answer, ScriptedService, as_json
from tests.library.world import MIGRATING, make_drill

STEPS = frozenset({"disable_dual_write", "disable_shadow_read", "force_faiss"})
LONG_AGO_S = 3600.0


class Restarting(ScriptedService):
    """A service that starts anew, and counts anew, with the env file that the reload command took."""

    env_file: Path
    requests = 0
    starts = 1
    seen = MIGRATING
    dead_on = "never"
    """Its health is bad while the env file holds this, from its start number ``dead_from`` on."""
    dead_from = 1
    restarts = True
    """Whether it takes the env file by a restart; else the process re-reads it."""
    boots_on = ""
    """Without this in the env file it answers nothing at all."""
    tells_start = True
    constant: Answer | None = None
    """What it always answers to a health request."""

    def __init__(self) -> None:
        super().__init__()
        self.started_at = time.time() - LONG_AGO_S
        self.script["GET", "/health"] = self.health
        self.script["POST", "/internal/retrieval/search"] = self.search
        self.script["GET", "/metrics"] = self.metrics

    def current(self) -> str:
        taken = self.env_file.with_name("taken")
        text = taken.read_text() if taken.exists() else self.seen
        if text != self.seen:
            self.seen = text
            if self.restarts:
                self.restart()
        return text

    def restart(self) -> None:
        self.requests, self.starts, self.started_at = 0, self.starts + 1, time.time()

    @property
    def up(self) -> bool:
        return self.boots_on in self.current()

    def health(self, _body: object) -> Answer:
        sick = self.dead_on in self.current() and self.starts >= self.dead_from
        return self.constant or as_json({}, 503 if sick or not self.up else 200)

    def search(self, _body: object) -> Answer:
        if not self.up:
            return as_json({}, 503)
        self.requests += 1
        return as_json({"results": []})

    def metrics(self, _body: object) -> Answer:
        if not self.up:
            return as_json({}, 503)
        backend = "faiss" if "BACKEND=faiss" in self.current() else "pgvector"
        families = ("requests", "errors", "dual_write_errors", "dual_write_skipped", "shadow_dropped")
        shadows = ("agreement_at_5", "ndcg_at_10", "latency_seconds")
        lines = [f"# TYPE retrieval_{name}_total counter" for name in families]
        lines += [f"# TYPE retrieval_shadow_{name} histogram" for name in shadows]
        lines += ["# TYPE retrieval_latency_seconds histogram"]
        lines += ["# TYPE retrieval_dual_write_outbox_size gauge"]
        lines += [f'retrieval_requests_total{{backend="{backend}"}} {self.requests}']
        lines += [] if backend == "faiss" else ['retrieval_shadow_dropped_total{reason="timeout"} 3']
        lines += [f"process_start_time_seconds {self.started_at}"] if self.tells_start else []
        lines += [""]
        return Answer("\n".join(lines).encode(), kind=CLASSIC)


def drill_on(
    folder: Path, *servers: Restarting, env: str = MIGRATING, apply: bool = True, toml: str = "", timeout_s: float = 60
) -> Drill:
    """Return a drill against ``servers``, of which the reload command has the first one take the env file."""
    urls = [server.url for server in servers]
    where = f"instances = {json.dumps(urls)}" if len(urls) > 1 else f'base_url = "{urls[0]}"'
    command = f'reload_command = ["cp", "{folder / ".env"}", "{folder / "taken"}"]'
    text = f"[service]\n{where}\n{command}\nreload_timeout_s = {timeout_s}\n{toml}"
    for server in servers:
        server.seen = env
    return make_drill(folder, toml=text, env=env, apply=apply, selected=STEPS)


def reloaded_by(drill: Drill, *command: str) -> Drill:
    """Have the drill reload by another command."""
    settings = replace(drill.config.service, reload_command=list(command))
    drill.config = replace(drill.config, service=settings)
    return drill


def impatient(drill: Drill) -> Drill:
    """Have a drill wait only shortly for the service."""
    settings = replace(drill.config.service, reload_timeout_s=0.4)
    drill.config = replace(drill.config, service=settings)
    return drill


def end(drill: Drill) -> None:
    """Stop what the drill has running."""
    if drill.probing:
        drill.prober.stop()
        drill.prober._client.close()
