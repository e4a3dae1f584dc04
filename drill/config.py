"""What a drill can be configured with: one frozen dataclass per section of ``drill.toml`` (DESIGN.md section 5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from drill.document_id import as_whole

RESERVED = 10_000
"""Numbers that are the canaries' where ids are whole numbers."""


@lru_cache(maxsize=4)
def of_uuid(text: str) -> frozenset[str] | None:
    """Return the ``RESERVED`` UUIDs that are made of one; ``None`` if ``text`` is none."""
    from uuid import UUID

    try:
        is_one = str(UUID(text)) == text.lower()
    except ValueError:
        return None
    return frozenset(_made(text, number) for number in range(RESERVED)) if is_one else None


def _made(text: str, number: int) -> str:
    from uuid import UUID, uuid5

    return str(uuid5(UUID(text), str(number)))


def _one_document() -> dict[str, object]:
    return {"tenant": "{tenant}", "documents": [{"id": "{id}", "text": "{text}"}]}


@dataclass(frozen=True, slots=True)
class Chat:
    """What the chat's answers must show, ``[service.chat]``; texts are compared without case and white space."""

    expect_text: str = ""
    """Must be in every answer: what only a document can say."""
    forbid_text: str = ""
    """Must be in none: what the chat says where retrieval gives it nothing."""
    asks_retrieval: bool = True
    """Whether each answer moves ``retrieval_requests_total`` of these instances; false where it keeps answers, or asks
    another service."""


@dataclass(frozen=True, slots=True)
class Service:
    """The retrieval service: where its instances are and how it takes a new env file."""

    base_url: str = "http://127.0.0.1:8000"
    instances: list[str] = field(default_factory=list)
    health_path: str = "/health"
    search_path: str = "/internal/retrieval/search"
    embed_path: str = "/internal/retrieval/embed"
    chat_path: str = "/chat/advise"
    chat_body: dict[str, object] = field(default_factory=dict)
    chat_answer_key: str = "answer"
    chat: Chat = field(default_factory=Chat)
    metrics_path: str = "/metrics"
    tenants: list[str] = field(default_factory=lambda: ["default"])
    auth_token_env: str = ""
    ca_file: str = ""
    reload_command: list[str] = field(default_factory=list)
    reload_timeout_s: float = 60.0
    on_boot_failure: str = "restore"
    outbox_replay_command: list[str] = field(default_factory=list)
    """argv, no shell: makes the service send the target what waits in the outbox (``--replay-outbox``)."""
    outbox_replay_timeout_s: float = 300.0
    ingest_path: str = "/internal/retrieval/ingest"
    """Where users write documents: tells which instance has been written to. Empty: there is no such path."""
    ingest_method: str = "POST"
    ingest_body: dict[str, object] = field(default_factory=_one_document)
    """The body of a write; ``{tenant}``, ``{id}`` and ``{text}`` are filled in, at any depth."""
    delete_path: str = ""
    """Where a document is deleted: ``{tenant}`` and ``{id}`` are filled in. Empty: the service cannot delete."""
    delete_method: str = "DELETE"
    delete_body: dict[str, object] = field(default_factory=dict)
    flags_path: str = ""
    """Where each instance says its own effective flags, as JSON; empty: nowhere."""
    flags: dict[str, str] = field(default_factory=dict)
    """``dual_write``, ``shadow_read``, ``backend``: their places in that JSON (JMESPath); by default their names."""
    worker_id: str = ""
    """How a health answer names the worker that gave it, where several share a port and one page of metrics:
    ``header:NAME`` or ``json:PATH`` (JMESPath). A restart must change every one. Empty: one process an instance."""
    dual_write_lag_s: float = 5.0
    """How long a dual-write may take to the target: a document that is not there then was not written there."""

    @property
    def urls(self) -> tuple[str, ...]:
        """The URL of every instance that is judged on its own."""
        return tuple(url.rstrip("/") for url in self.instances or [self.base_url])


@dataclass(frozen=True, slots=True)
class Query:
    """A golden query; ``expect_ids`` are documents that must be among the results."""

    query: str
    expect_ids: list[str] = field(default_factory=list)
    tenant: str = ""
    """The tenant that is asked; empty: the first one of ``service.tenants``."""


@dataclass(frozen=True, slots=True)
class Smoke:
    """What the smoke tests ask."""

    queries: list[Query] = field(default_factory=list)
    top_k: int = 5
    new_queries: bool = True
    """Whether some queries are ones that nobody has asked before; a service may find nothing for these."""


@dataclass(frozen=True, slots=True)
class Values:
    """What the service calls values of its labels, ``[metrics.values]``; in any case of letters."""

    faiss: str = "faiss"
    """FAISS in the label ``backend``, beside ``faiss`` itself."""
    flag_off: list[str] = field(default_factory=list)
    """Further values of ``reason`` which say that a dual-write was skipped because its flag is off."""
    circuit_open: list[str] = field(default_factory=list)
    """Further values of ``reason`` which say that it was skipped because the circuit is open."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where the service's metrics are read, and its alerts."""

    prometheus_url: str = ""
    """The Prometheus server that scrapes the instances and keeps their alerts; empty: their own pages, and no alerts.

    Its certificate is verified by ``service.ca_file``, which may hold several authorities.
    """
    bearer_token_env: str = ""
    """The variable that holds the token for Prometheus and Alertmanager."""
    selector: str = ""
    """PromQL matchers on labels of the service's targets, added to every query for metrics.

    Alerts need not carry them, so they are not asked for there.
    """
    alertmanager_url: str = ""
    """Asked only what is silenced or inhibited; it decides nothing."""
    names: dict[str, str] = field(default_factory=dict)
    """Metric of the design -> the service's own name for it (``drill.metrics.names.METRIC_NAMES``)."""
    values: Values = field(default_factory=Values)


@dataclass(frozen=True, slots=True)
class Slo:
    """The service level objectives and how they are observed; ``_ms`` milliseconds, ``_s`` seconds."""

    p50_ms: float = 150.0
    p95_ms: float = 500.0
    error_rate: float = 0.01
    min_requests: int = 300
    max_p50_ratio: float = 1.2
    max_p95_ratio: float = 1.5
    observe_s: float = 30.0
    max_circuit_open_per_s: float = 0.0
    alerts: str = 'severity=~"critical|page"'
    """Which alerts matter: PromQL matchers on labels that the alerting rules set, and ``alertname``.

    Empty: there is no alerting here, by choice.
    """
    watchdog: str = "Watchdog"
    """An alert that always fires, which shows that alerting works; without one, no alerts proves nothing."""
    rto_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Probe:
    """How fast the drill asks the service, in requests a second to all instances together."""

    rate: float = 10.0
    """Searches a second from before the reload to the end."""
    max_rate: float = 50.0
    """What is never exceeded, by all requests together: probes, those that make up for missing users among them,
    checks, health, metrics pages."""


@dataclass(frozen=True, slots=True)
class Primary:
    """The FAISS side.

    ``faiss-dir``: ``<path>/<tenant>/{index.faiss,docs.json}``; ``faiss-idmap``: ``{index.faiss,manifest.ndjson}``.
    ``manifest``: ``path`` is a Parquet or NDJSON file of id, tenant and content hash; it may hold ``{tenant}``.
    """

    kind: str = "faiss-dir"
    path: str = ""
    expect_deletes: bool = False
    """Whether users delete documents: then FAISS may have fewer at the end of a drill, up to the two bounds below."""
    max_fall: float = 0.01
    """Share of a tenant's documents that users may have deleted during a drill."""
    max_fall_documents: int = 10
    """The same as a number; the larger of the two counts."""


@dataclass(frozen=True, slots=True)
class Target:
    """The vector database; an empty ``kind`` means that none is configured.

    These keys are common to all kinds; each has its own beside them (``drill.target.settings``).
    """

    kind: str = ""
    connect_timeout_s: float = 3.0
    statement_timeout_s: float = 30.0

    @property
    def address_env(self) -> str:
        """The variable that holds the target's address, whatever the kind calls it; empty if there is none."""
        return getattr(self, "dsn_env", "") or getattr(self, "url_env", "")


@dataclass(frozen=True, slots=True)
class Canary:
    """Documents that a drill with ``--apply`` writes through the service, looks for, and removes again."""

    tenant: str = ""
    """The tenant they are written for, ``*`` for each of ``[service] tenants``; empty: none is written."""
    id: str = "rollback-drill-canary"
    """Their ids are this and a number: reserved, no document of a user may have such an id.

    Where ids are whole numbers: the first of ``RESERVED`` numbers that are theirs. Where they are UUIDs: one of which
    as many others are made (uuid5), which nobody else makes.
    """
    text: str = "Rollback drill canary, removed at once."

    def name(self, number: int) -> str:
        """Return the id of the canary with this ``number``, from 0."""
        if self._first is not None:
            return str(self._first + number)
        return f"{self.id}-{number}" if of_uuid(self.id) is None else _made(self.id, number)

    def is_one(self, name: str) -> bool:
        """Whether ``name`` is the id of a canary, of this drill or an earlier one."""
        if (made := of_uuid(self.id)) is not None:
            return bool(self.tenant) and name.lower() in made
        if self._first is None:
            stem = f"{self.id}-"
            return bool(self.tenant) and name.startswith(stem) and name.removeprefix(stem).isdecimal()
        found = as_whole(name)
        return bool(self.tenant) and found is not None and 0 <= found - self._first < RESERVED

    def is_surely_one(self, name: str) -> bool:
        """Whether ``name`` is an id that no document of a user has: a number in the reserved range may be one's."""
        return not self.numbered and self.is_one(name)

    @property
    def numbered(self) -> bool:
        """Whether their ids are plain numbers: these may be users' all the same, and only their texts tell."""
        return self._first is not None

    @property
    def _first(self) -> int | None:
        return as_whole(self.id)


@dataclass(frozen=True, slots=True)
class Purge:
    """The bounds of step 2."""

    max_fraction: float = 0.05
    batch: int = 1000
    time_budget_s: float = 120.0
    memory_limit_mb: int = 1024
    """What the comparison may take of memory; beyond that it spills to disk. From 50."""
    drift_sample: int = 0
    """Documents a tenant whose vectors are compared, where the content agrees; 0: none. Reported, never purged."""
    scheduler: str = ""
    """A Dask scheduler (``tcp://host:port``) that compares, ``local`` for a cluster of its own, empty: this process."""


@dataclass(frozen=True, slots=True)
class Window:
    """The approved firing window, RFC 3339; an empty end is open."""

    opens: str = ""
    closes: str = ""
    plan_ttl_s: float = 86_400.0
    """Age above which a plan of a dry-run is not applied any more (``--plan``)."""


@dataclass(frozen=True, slots=True)
class Reopen:
    """The ladder of step 7."""

    shadow_sample_rates: list[float] = field(default_factory=lambda: [0.1, 1.0])
    hold_s: float = 60.0
    min_agreement_at_5: float = 0.9
    min_ndcg_at_10: float = 0.9
    max_drop_rate: float = 0.02
    """Share of the shadow reads that may be dropped: no room, no answer in time, an error."""
    pilot_tenants: list[str] = field(default_factory=list)
    """Tenants that are re-opened first, by ``RETRIEVAL_TENANT_ALLOWLIST``; empty: all at once, the list untouched."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How a throw-away instance of the service is started on the env file as it would be; dry-run only."""

    command: list[str] = field(default_factory=list)
    """argv, no shell; ``{env_file}`` and ``{port}`` are filled in. Empty: nothing is rehearsed."""
    boot_timeout_s: float = 30.0
    stop_timeout_s: float = 10.0
    primary_env: str = "FAISS_DATA_DIR"
    """Key of the env file that names the FAISS data; the rehearsal is given a copy of it."""
    target_env: str = ""
    """Key that holds the target's URL, which is put out of reach; empty: ``[target] dsn_env`` or ``url_env``."""
    max_copy_mib: int = 4096


@dataclass(frozen=True, slots=True)
class History:
    """The page of all drills, ``reports/index.html``."""

    max_age_days: float = 90.0
    """Days after which an env file's last successful drill is too long ago."""


@dataclass(frozen=True, slots=True)
class Notify:
    """Who is told at the end of a drill. None of it can change the drill's result, or hold it up for long."""

    grafana_url: str = ""
    """Grafana is given annotations for start, safe and end; certificates are verified by ``service.ca_file``."""
    grafana_token_env: str = ""
    webhook_url_env: str = ""
    """The variable that holds the URL of a webhook (Slack's or one's own): who knows such a URL may post to it."""


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration."""

    service: Service = field(default_factory=Service)
    smoke: Smoke = field(default_factory=Smoke)
    metrics: Metrics = field(default_factory=Metrics)
    slo: Slo = field(default_factory=Slo)
    probe: Probe = field(default_factory=Probe)
    primary: Primary = field(default_factory=Primary)
    target: Target = field(default_factory=Target)
    canary: Canary = field(default_factory=Canary)
    purge: Purge = field(default_factory=Purge)
    window: Window = field(default_factory=Window)
    reopen: Reopen = field(default_factory=Reopen)
    history: History = field(default_factory=History)
    notify: Notify = field(default_factory=Notify)
    rehearsal: Rehearsal = field(default_factory=Rehearsal)
    source: Path | None = None
    """The file it was read from; ``None``: built-in defaults."""
    taken: Mapping[str, str] = field(default_factory=dict)
    """Keys that only the service's own env file answers -> the variable that was taken."""
    unusable: Mapping[str, str] = field(default_factory=dict)
    """Keys that nobody answers, though the service's env file has a variable for them -> why it cannot be used."""

    def missing(self, key: str, otherwise: str) -> str:
        """Say that ``key`` has no value: why the service's own variable could not serve, else ``otherwise``."""
        return self.unusable.get(key, otherwise)
