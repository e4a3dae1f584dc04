"""The sandbox's home: which file lies where, and the files a user reads and edits."""

import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.corpus import GOLDEN
from sandbox.errors import SandboxError
from sandbox.monitoring.setup import SELECTOR

INSTANCES = 2
REHEARSAL = 2
"""The number of the instance that a rehearsal starts: a fault can be on for it alone."""
ROOT = Path(__file__).resolve().parent.parent
"""The project's root: commands in the files below run from here."""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below one directory."""

    path: Path

    @property
    def env_file(self) -> Path:
        """The service's env file."""
        return self.path / ".env"

    @property
    def drill_config(self) -> Path:
        """The drill's configuration."""
        return self.path / "drill.toml"

    @property
    def faiss_dir(self) -> Path:
        """The primary's data."""
        return self.path / "faiss"

    @property
    def faults(self) -> Path:
        """Which faults are on."""
        return self.path / "faults.json"

    @property
    def state(self) -> Path:
        """Where a running stack can be reached; made first and removed last."""
        return self.path / "stack.json"

    @property
    def traffic(self) -> Path:
        """What the background users have seen."""
        return self.path / "traffic.json"

    @property
    def monitoring(self) -> Path:
        """The files of Prometheus and Alertmanager."""
        return self.path / "monitoring"

    @property
    def keep(self) -> Path:
        """What faults must put back."""
        return self.path / "faults-keep"

    def log(self, name: str) -> Path:
        """Return the log of one process."""
        return self.path / f"{name}.log"


@dataclass(frozen=True, slots=True)
class State:
    """A running stack as ``stack.json`` has it; ``made_home`` says whether the directory is ours to remove."""

    supervisor: int
    runtime: str
    ports: list[int]
    tenants: list[str]
    dsn: str
    made_home: bool
    prometheus: str = ""
    """The URL of the stack's Prometheus; empty if it has none. ``alertmanager`` likewise."""
    alertmanager: str = ""

    @property
    def control(self) -> Path:
        """The supervisor's control socket."""
        return Path(self.runtime) / "control"

    @property
    def base_urls(self) -> list[str]:
        """Every instance's own URL."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def save(self, home: Home) -> None:
        """Write the state, readable for the owner alone: the DSN holds a password."""
        home.state.touch(mode=0o600)
        home.state.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, home: Home) -> "State":
        """Read the state; raise ``SandboxError`` if there is no stack."""
        try:
            return cls(**json.loads(home.state.read_text()))
        except FileNotFoundError:
            raise SandboxError(f"no sandbox in {home.path}; start one with `python -m sandbox up`") from None
        except (ValueError, TypeError):
            raise SandboxError(f"{home.state} is damaged; remove {home.path} by hand") from None


def write_env(home: Home, state: State, *, backend: str, dual_write: str, shadow_read: str) -> None:
    """Write the service's env file, as such files look: comments, other keys, a made-up secret."""
    home.env_file.touch(mode=0o600)
    home.env_file.write_text(
        f"""\
# Retrieval service (sandbox). Read at start: restart the service after a change.
SERVICE_NAME=retrieval
LOG_LEVEL=info
SERVICE_API_KEY="{secrets.token_urlsafe(24)}"  # made up, of no use anywhere

# Migration FAISS -> pgvector
FF_RETRIEVAL_DUAL_WRITE={dual_write}
FF_RETRIEVAL_SHADOW_READ={shadow_read}  # see also the sample rate below
FF_RETRIEVAL_SHADOW_SAMPLE_RATE=0.25
RETRIEVAL_BACKEND={backend}
RETRIEVAL_TARGET_BACKEND=pgvector

# Stores
FAISS_DATA_DIR='{home.faiss_dir}'
PGVECTOR_DSN='{state.dsn}'

DEFAULT_TENANT={state.tenants[0]}
RETRIEVAL_TENANTS={",".join(state.tenants)}
"""
    )


def write_drill_config(home: Home, state: State, golden: Mapping[str, str]) -> None:
    """Write the drill's configuration for this stack; ``golden`` maps a query to the id of its answer."""
    reload_command = [sys.executable, "-m", "sandbox", "reload", "--home", str(home.path)]
    replay_command = [sys.executable, "-m", "sandbox", "replay", "--home", str(home.path)]
    rehearsal = [sys.executable, "-m", "sandbox.service", "--env-file", "{env_file}", "--port", "{port}"]
    rehearsal += ["--instance", str(REHEARSAL), "--faults", str(home.faults)]
    question = next(iter(golden))
    lines = [
        "# The drill's configuration for the sandbox beside it.",
        "[service]",
        f"base_url = {_toml(state.base_urls[0])}",
        f"instances = {_toml(state.base_urls)}",
        f"tenants = {_toml(state.tenants)}",
        f"chat_body = {{ question = {_toml(question)} }}",
        f"reload_command = {_toml(reload_command)}",
        "reload_timeout_s = 60",
        f"outbox_replay_command = {_toml(replay_command)}",
        'delete_path = "/internal/retrieval/documents/{tenant}/{id}"',
        'flags_path = "/internal/retrieval/status"  # what each process says of its own flags',
        "",
        f"[service.chat]\nexpect_text = {_toml(_phrase(question))}",
        "",
        *(f"[[smoke.queries]]\nquery = {_toml(query)}\nexpect_ids = {_toml([one])}\n" for query, one in golden.items()),
        f'[primary]\nkind = "faiss-dir"\npath = {_toml(str(home.faiss_dir))}',
        "",
        '[target]\nkind = "pgvector"\ndsn_env = "PGVECTOR_DSN"',
        'table = "retrieval_documents"\nhash_column = "content_hash"',
        "",
        '[canary]\ntenant = "*"  # one document through each instance, removed at once',
        "",
        "[purge]\ndrift_sample = 100",
        "",
        *_monitoring(state),
        "",
        "[reopen]\nhold_s = 10  # in production: minutes, better hours",
        "",
        f"[rehearsal]\ncommand = {_toml(rehearsal)}",
    ]
    home.drill_config.write_text("\n".join(lines) + "\n")


def _phrase(question: str) -> str:
    """Return what the answer to a golden question holds."""
    return next(golden.phrase for golden in GOLDEN if golden.query == question)


def _monitoring(state: State) -> list[str]:
    if not state.prometheus:
        return ['[slo]\nalerts = ""  # this sandbox has no alerting']
    lines = ["[metrics]", f"prometheus_url = {_toml(state.prometheus)}", f"selector = {_toml(SELECTOR)}"]
    return [*lines, *([f"alertmanager_url = {_toml(state.alertmanager)}"] if state.alertmanager else [])]


def _toml(value: str | Sequence[str]) -> str:
    # TOML's basic strings and arrays of them are written as in JSON.
    return json.dumps(value)
