"""One drill while it runs: its configuration, its record, and the clients that steps and checks share."""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from drill.clock import DrillClock
from drill.config import Config
from drill.envfile import EditPlan, EnvFile
from drill.errors import CannotMeasure, DrillError
from drill.events import EventLog
from drill.gates import Gates
from drill.load import BALANCED_S, GLANCE_S, Budget, budget_of, window_rate
from drill.observation import MetricsSource, Reading, Window, open_window
from drill.plans import Plan, hold
from drill.primary import Held, Look, Primary, open_primary
from drill.record import DrillRecord
from drill.trace import Trace
from drill.words import count

if TYPE_CHECKING:
    from drill.before import LookBefore
    from drill.comeback import Clocks
    from drill.fresh import Fresh
    from drill.http import HttpClient
    from drill.leaks import Search
    from drill.limiter import Limiter
    from drill.metrics.alertmanager import Alertmanager
    from drill.metrics.prometheus import PrometheusClient
    from drill.metrics.scrape import ScrapeSource
    from drill.probe import Prober, ProbeResult
    from drill.proof.environ import Environ
    from drill.reopen.ladder import Ladder
    from drill.service import RetrievalService
    from drill.standstill import Heartbeat
    from drill.steps.witness import WriteWitness
    from drill.target import Target

MAX_PROBE_BYTES = 1024 * 1024
"""What an answer to a probe may hold: 64 of them are under way at once when a service floods them."""
SLOW_READING_S = 1.0
"""A source of metrics that takes longer is not asked again while something is waited for."""
GRACE = 1.5
"""How many times as long as it should take the last probes of a wait are waited for."""
POLLS = 60
"""Into how many parts a long wait is divided for that."""


@dataclass
class Drill:
    """Everything one drill works with. Clients are made when first needed: start-up is the user's wait."""

    config: Config
    record: DrillRecord
    events: EventLog
    env_file: EnvFile
    env_values: Mapping[str, str | None] = field(repr=False)
    plan: EditPlan
    work_dir: Path
    """``artifacts/drills/<drill_id>``"""
    purge_mode: str
    """``auto``, ``defer`` or ``off``."""
    journal: Path
    """The journal of earlier drills."""
    selected: frozenset[str]
    """Ids of the tests that were selected to run."""
    reopen: bool = False
    """Whether step 7 was asked for."""
    replay_outbox: bool = False
    """Whether the outbox is to be replayed before it."""
    held_plan: Plan | None = None
    """The plan of a dry-run that is to be carried out, if one was named."""
    tick: Callable[[str], None] = field(default=lambda _text: None)
    """Told what is being waited for, again and again while it lasts."""
    tell: Callable[[str], None] = field(default=lambda _text: None)
    """Told once what will be waited for; from any thread."""
    reports_dir: Path = Path("reports")
    """Where reports are written."""
    began: float = field(default_factory=time.monotonic)
    clock: DrillClock = field(default_factory=DrillClock)
    """The time of day, whatever is done to the machine's clock while the drill runs."""
    before: Reading | None = None
    """The metrics before the reload."""
    settled: Reading | None = None
    """The metrics from which the rolled-back service is judged."""
    last_read: Reading | None = None
    """The newest reading that was waited for."""
    new_processes: list[str] = field(default_factory=list)
    """Instances that were seen to restart."""
    written_at: float | None = None
    """When the flags were on disk (monotonic)."""
    reload_began: float | None = None
    """When the service was first made to take the flags (monotonic): until then it ran as before."""
    environs: dict[tuple[str, float | None], "Environ"] = field(default_factory=dict)
    """What the environment of each local process says of the flags, by instance and start of the process."""
    swept: dict[str, set[str]] = field(default_factory=dict)
    """Tenant -> ids of canaries that an earlier drill had left in FAISS, and this one has removed."""
    witness: "WriteWitness | None" = None
    """What step 1 has looked up on the target, to be looked up again at the end."""
    rolled_back: bool = False
    """Whether the flags are on disk and the service came back with them."""
    observed: Window | None = None
    """The observation window that latency, errors and silence are judged over."""
    faiss_before: dict[str, Look] = field(default_factory=dict)
    """FAISS as it was before anything was written, by tenant."""
    faiss_held: dict[str, Held] = field(default_factory=dict)
    """The same, whole, of tenants that could be held so."""
    faiss_versions: dict[str, str] = field(default_factory=dict)
    """The fingerprint of what was looked at last, by tenant."""
    trace: Trace = field(default_factory=Trace)
    """What is noted for the plots of the report."""

    @property
    def apply(self) -> bool:
        """Whether this drill changes anything."""
        return self.record.apply

    @cached_property
    def gates(self) -> Gates:
        """What must hold before this drill writes anything."""
        return Gates(self)

    @property
    def judged(self) -> bool:
        """Whether the rolled-back state is there to be judged: by this drill, or because the file has it already."""
        return self.rolled_back or (self.plan.unchanged and not self.record.restored)

    @property
    def judges(self) -> bool:
        """Whether the rolled-back service is judged in this drill: not in a dry-run that would change something."""
        return self.apply or self.plan.unchanged

    def hold_plan(self) -> None:
        """Raise `Refused` if the plan that is to be carried out does not hold any more for the flags."""
        if self.held_plan is not None:
            changes = {change.key: change.after for change in self.plan.changes}
            ttl_s = self.config.window.plan_ttl_s
            mine, now = self.record.env_id, self.clock.now()
            hold(self.held_plan, mine, self.plan.old_bytes, changes, self.config.service.urls, ttl_s, now)

    def secret(self, name: str) -> str:
        """Return the value of the variable ``name``: of the process environment, else of the env file."""
        return os.environ.get(name) or self.env_values.get(name) or "" if name else ""

    @cached_property
    def budget(self) -> Budget:
        """The most that this drill sends to each instance: said before the first request, and held to."""
        purge = self.purge_mode != "off"
        return budget_of(self.config, apply=self.apply, judged=self.judges, purge=purge, reopen=self.reopen)

    @property
    def load_line(self) -> str:
        """What this drill will send, for the operator."""
        return self.budget.line(len(self.config.service.urls))

    @cached_property
    def limiter(self) -> "Limiter":
        """The gate through which every request to the service goes."""
        from drill.limiter import Limiter

        return Limiter(self.config.service.urls, self.budget, tell=self.tell)

    @cached_property
    def heartbeat(self) -> "Heartbeat":
        """Whether the drill itself stood still; beats from the first client of the service on."""
        from drill.standstill import Heartbeat

        return Heartbeat()

    @cached_property
    def client(self) -> "HttpClient":
        """The client for everything that is not a continuous probe."""
        return self._new_client()

    @cached_property
    def look(self) -> "LookBefore":
        """The service as it was beside the write."""
        from drill.before import LookBefore

        return LookBefore(self)

    @cached_property
    def clocks(self) -> "Clocks":
        """The clocks of the instances' hosts."""
        from drill.comeback import Clocks

        return Clocks(self.clock)

    @cached_property
    def service(self) -> "RetrievalService":
        """The service under drill."""
        from drill.service import RetrievalService

        return RetrievalService(self.config.service, self.client, self._last_words)

    @cached_property
    def direct(self) -> "ScrapeSource":
        """The instances' own metrics, each read at its own address."""
        from drill.metrics.scrape import ScrapeSource

        metrics = self.config.metrics
        return ScrapeSource(self.client, self.config.service.metrics_path, metrics.names, metrics.values)

    @cached_property
    def source(self) -> MetricsSource:
        """Where metrics are read: the configured Prometheus, else the instances themselves; with their workers."""
        service = self.config.service
        if not service.worker_id:
            return self._source
        from drill.metrics.workers import WorkerSource, named_by

        identify = named_by(service.worker_id, lambda url: self.client.get(url + service.health_path, fresh=True))
        return WorkerSource(self._source, identify, self.direct)

    @cached_property
    def _source(self) -> MetricsSource:
        metrics, direct = self.config.metrics, self.direct
        if not metrics.prometheus_url and not self.config.service.instances:
            from drill.metrics.balanced import BalancedSource

            return BalancedSource(direct)
        if not metrics.prometheus_url:
            return direct
        from drill.metrics.queried import PrometheusSource

        return PrometheusSource(self.prometheus, metrics.selector, metrics.names, direct, self.tick, metrics.values)

    @cached_property
    def prometheus(self) -> "PrometheusClient":
        """The Prometheus server that keeps metrics and alerts; made only where one is configured."""
        from drill.metrics.prometheus import PrometheusClient
        from drill.token import sendable, unauthorized

        metrics, ca_file = self.config.metrics, self.config.service.ca_file
        name, token = metrics.bearer_token_env, self.secret(metrics.bearer_token_env)
        what = unauthorized("[metrics] bearer_token_env", name, token)
        return PrometheusClient(metrics.prometheus_url, token=sendable(token), ca_file=ca_file, unauthorized=what)

    @cached_property
    def alertmanager(self) -> "Alertmanager | None":
        """The Alertmanager that explains alerts, if one is configured."""
        from drill.metrics.alertmanager import Alertmanager
        from drill.token import sendable

        metrics, ca_file = self.config.metrics, self.config.service.ca_file
        if not metrics.alertmanager_url:
            return None
        token = sendable(self.secret(metrics.bearer_token_env))
        return Alertmanager(metrics.alertmanager_url, token=token, ca_file=ca_file)

    @cached_property
    def primary(self) -> Primary | None:
        """The FAISS side, if the drill can see it."""
        settings = self.config.primary
        return None if self.no_primary else open_primary(settings.kind, Path(settings.path))

    @property
    def no_primary(self) -> str:
        """Why the drill cannot see the FAISS side; empty if it can.

        What the service calls its directory may be a path of another machine or working directory, so one that is not
        here is not known, and no proof that FAISS is gone.
        """
        settings, key = self.config.primary, "[primary] path"
        if not settings.path:
            otherwise = f"no FAISS directory is known: set {key}, or FAISS_DATA_DIR in the env file"
            return self.config.missing(key, otherwise)
        name = self.config.taken.get(key)
        if name and settings.kind.startswith("faiss") and not os.path.isdir(settings.path):  # noqa: PTH112 - raises nothing
            return f"{name} of the env file names {settings.path}, which is no directory here; set {key}"
        return ""

    @cached_property
    def queries(self) -> list[tuple[str, str]]:
        """(tenant, query) pairs to ask: the golden ones, and for other tenants texts of FAISS's own documents."""
        tenants = self.config.service.tenants
        golden = [(query.tenant or tenants[0], query.query) for query in self.config.smoke.queries]
        sampled = [(tenant, text) for tenant in tenants for text in self._sample_texts(tenant)]
        asked = {tenant for tenant, _ in golden}
        return golden + [pair for pair in sampled if pair[0] not in asked] or [(name, "status") for name in tenants]

    @cached_property
    def fresh(self) -> "Fresh | None":
        """Makes questions that nobody has asked before; none by the operator's choice."""
        from drill.fresh import Fresh

        return Fresh() if self.config.smoke.new_queries else None

    @cached_property
    def prober(self) -> "Prober":
        """The continuous probe, running from first use on."""
        from drill.probe import Ask, Prober

        pairs = self.queries
        asks = [Ask(url, tenant, query) for tenant, query in pairs for url in self.service.instances]
        client = self._new_client(max_bytes=MAX_PROBE_BYTES, probes=True)
        settings, rate = self.config, self.config.probe.rate
        prober = Prober(
            client, settings.service.search_path, asks, settings.smoke.top_k, rate, self.limiter, self.fresh
        )
        prober.start()
        return prober

    @property
    def probing(self) -> bool:
        """Whether the continuous probe has been started."""
        return "prober" in self.__dict__

    @cached_property
    def leaks(self) -> "Search":
        """The search for values of the env file and for configured secrets."""
        from drill.leaks import Search
        from drill.leaks.of_drill import searched

        return Search.of(searched(self.config, self.env_values, self.record))

    def read_metrics(self, since: float | None = None) -> Reading:
        """Read every instance now.

        Where that takes a wait, a reading that was begun at or after ``since`` (monotonic) will do.
        """
        last = self.last_read
        if since is None or last is None or last.began < since or not self.source.waits:
            last = self.last_read = self.source.read(self.service.instances)
            self.trace.keep(last)
        return last

    def glance_at_metrics(self) -> Reading:
        """Read every instance without waiting: what was scraped last will do."""
        reading = self.source.read(self.service.instances, wait=False)
        self.trace.keep(reading)
        return reading

    def window(self, last: Reading) -> Window:
        """Return what moved since the service settled."""
        settled = self.settle()
        return open_window(settled, last, self.prober, self.new_processes, self.source.between(settled, last))

    def settle(self) -> Reading:
        """Return the reading that everything is judged from, taking it if there is none yet."""
        if self.settled is None:
            self.before = self.rebase(self.read_metrics())
            return self.before
        return self.settled

    def watch(self, seconds: float, probes: int) -> None:
        """Wait until ``seconds`` have passed since the service settled and every instance answered ``probes`` probes.

        An instance that answers nothing at all is not waited for longer; one that answers slowly, twice the time and
        five seconds.
        """
        names = self.service.instances

        def enough(answered: Counter[str], elapsed: float) -> bool:
            return elapsed >= seconds and all(answered[name] >= probes or not answered[name] for name in names)

        self._watch(enough, 2 * seconds + 5)

    def observe(self) -> Window:
        """Return the observation window, waiting once for its end: ``observe_s`` and ``min_requests`` requests."""
        from drill.sample_size import gather_enough

        if self.observed is None:
            self.settle()
            gather_enough(self)
            self.observed = self.window(self.read_metrics())
        return self.observed

    def gather(
        self, seconds: float, needed: float, what: str = "watching the service", rate: float | None = None
    ) -> float:
        """Wait until ``seconds`` have passed since the service settled, and ``needed`` probes were answered.

        Where the regular probes would not be enough, more are sent, evenly from now to the end: samples of different
        load cannot be compared. Return the rate, which is the one that was asked for if there was one.
        """
        from drill.sample_size import even_rate

        def enough(answered: Counter[str], elapsed: float) -> bool:
            return elapsed >= seconds and (answered.total() >= needed or not answered)

        since = self.settled.ended if self.settled else self.began
        elapsed = time.monotonic() - since
        results = self.prober.results(since)
        missing = max(0.0, needed - sum(result.ok for result in results))
        silent = bool(results) and not any(result.ok for result in results)
        rate = rate or max(self.prober.rate, even_rate(self.config, 0 if silent else missing, seconds - elapsed))
        self.prober.rate = rate
        self._watch(enough, max(seconds, elapsed + GRACE * missing / rate), what)
        self.prober.rate = self.config.probe.rate
        return rate

    def rebase(self, settled: Reading) -> Reading:
        """Count from ``settled`` on, and probe from now at the rate that a window needs."""
        self.settled, self.prober.rate = settled, window_rate(self.config)
        return settled

    def between(self, first: Reading, last: Reading) -> Window:
        """Return what moved from ``first`` to ``last``, with nothing counted from before ``first``."""
        return open_window(first, last, self.prober, (), self.source.between(first, last))

    @cached_property
    def ladder(self) -> "Ladder":
        """The ladder of step 7."""
        from drill.reopen.ladder import Ladder

        return Ladder(self)

    def _watch(
        self, enough: Callable[[Counter[str], float], bool], timeout_s: float, what: str = "watching the service"
    ) -> None:
        since = self.settled.ended if self.settled else self.began

        def check(results: Sequence["ProbeResult"]) -> bool:
            elapsed = time.monotonic() - since
            answered = Counter(result.instance for result in results if result.ok)
            self.tick(f"{what}: {elapsed:.0f} s, {count(answered.total(), 'probe')} answered")
            return enough(answered, elapsed)

        self._wait_and_read(check, since, timeout_s)

    def _wait_and_read(self, check: Callable[[Sequence["ProbeResult"]], bool], since: float, timeout_s: float) -> None:
        """Wait for ``check``, reading the metrics now and then; a source that is slow is not asked again."""
        pause_s = max(GLANCE_S if self.config.service.instances else BALANCED_S, timeout_s / POLLS)
        while True:
            deadline = since + timeout_s + self.lost_s(since)
            if self.prober.wait(check, since, max(0.0, min(pause_s, deadline - time.monotonic()))):
                return
            if time.monotonic() >= since + timeout_s + self.lost_s(since):
                return
            asked = time.monotonic()
            self.glance_at_metrics()
            if time.monotonic() - asked > SLOW_READING_S:
                pause_s = timeout_s

    def lost_s(self, since: float, until: float = float("inf")) -> float:
        """Return how much of a time the drill could not use: it stood still itself, or the service limited it."""
        return self.heartbeat.lost_s(since, until) + self.limiter.waited_s(since)

    @property
    def target_values(self) -> dict[str, str | None]:
        """What the ``*_env`` keys of ``[target]`` name: the process environment over the service's env file."""
        return {**self.env_values, **{name: value for name, value in os.environ.items() if value}}

    def open_target(self) -> "Target":
        """Connect to the target. Raises `CannotMeasure` if none is configured or it does not answer."""
        return self._open_target(by_text=False)

    def open_target_by_text(self) -> "Target":
        """Connect to the target so that its texts are hashed here, whatever hash it holds. Raises `CannotMeasure`."""
        return self._open_target(by_text=True)

    def _open_target(self, *, by_text: bool) -> "Target":
        from drill.target import hashed_here, open_target

        target = self.config.target
        if not target.kind:
            otherwise = "no target is configured: set [target] kind and its connection to compare and purge"
            raise CannotMeasure(self.config.missing("[target] kind", otherwise))
        try:
            settings = hashed_here(target) if by_text else target
            return open_target(settings, self.target_values, self.config.service.tenants)
        except CannotMeasure as problem:
            name = target.address_env
            where = f"; its address is the value of {name}" if name and name not in str(problem) else ""
            raise type(problem)(f"{problem}{where}") from None

    def close(self) -> None:
        """Close the connections to the service, to Prometheus and to Alertmanager that were opened."""
        for name in ("prober", "client", "prometheus", "alertmanager", "heartbeat"):
            if opened := self.__dict__.get(name):
                opened.close()

    def _new_client(self, max_bytes: int | None = None, *, probes: bool = False) -> "HttpClient":
        from drill.http import MAX_BODY_BYTES, HttpClient
        from drill.token import sendable, unauthorized

        service = self.config.service
        name = service.auth_token_env
        self.heartbeat.start()
        return HttpClient(
            token=sendable(self.secret(name)),
            ca_file=service.ca_file,
            max_bytes=max_bytes or MAX_BODY_BYTES,
            unauthorized=unauthorized("[service] auth_token_env", name, self.secret(name)),
            limiter=self.limiter,
            heartbeat=self.heartbeat,
            probes=probes,
        )

    def _last_words(self, said: bytes) -> str:
        from drill.last_words import LOG, last_words

        return last_words(said, self.leaks, self.work_dir / LOG)

    def _sample_texts(self, tenant: str) -> list[str]:
        try:
            return self.primary.sample_texts(tenant, 5) if self.primary else []
        except DrillError:
            return []  # what is wrong with FAISS is preflight.faiss's to say
