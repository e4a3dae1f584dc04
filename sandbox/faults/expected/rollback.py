"""What a drill of the rollback must show of each fault: by ``--apply`` in an incident."""

from collections.abc import Mapping
from dataclasses import replace

from sandbox.faults.expected.model import ANY, FAIL, OPEN, Expected

STEPS = ("disable_dual_write", "disable_shadow_read", "force_faiss")
BY_METRICS = (
    *STEPS,
    "slo.latency",
    "slo.errors",
    "post.primary_latency",
    "post.target_errors",
    "post.circuit_open",
    "post.shadow_silent",
    "post.backend",
)
"""Rows that are judged by metrics, among others."""

UNPROVEN = "without answered probes, silence proves nothing"
UNCOUNTED = "metrics that do not count the drill's probes prove no silence"
UNSEEN = "no shadow read may have been counted since the boot, and silence is no proof then"
UNBELIEVED = dict.fromkeys(("disable_shadow_read", "post.shadow_silent"), f"who disobeys is not believed: {UNSEEN}")
"""What an instance that says its flags, and is seen to disobey one of them, leaves open."""
UNWRITTEN = {"purge_delta": "nothing more is deleted once the env file is not what the drill wrote"}
UNPURGED = "nothing is deleted before dual-write is proven off"
SICK = "what the instance does not take from FAISS it takes from the sick target, and users feel that"
GONE = "an instance that is gone answers nothing and counts nothing"
NOTHING_FOUND = "probes find too few different documents"
PUT_BACK = "the previous env file is put back: there is no rolled-back state to look at"

OTHERS = {"smoke.chat": "other documents may not hold what the chat should say"}
EVERYTHING = (
    "purge_delta",
    *("smoke.search", "smoke.embed", "smoke.chat"),
    *("slo.latency", "slo.errors", "post.endpoints", "post.primary_latency"),
    *("post.target_errors", "post.circuit_open", "post.shadow_silent", "post.backend", "post.faiss"),
)


def _red(why: str, *rows: str, verdict: str = FAIL, also: Mapping[str, str] | None = None) -> Expected:
    beside = {row: reason for row, reason in (also or {}).items() if row not in rows}
    return Expected(dict.fromkeys(rows, verdict), why, beside)


def _unsaid(row: Expected, fault: str = "", **environ: str) -> Expected:
    """Return a row for a service that says nothing of its own flags: they are known by their effect alone.

    An instance that disobeys one flag is not believed for another, and may have counted no shadow read since its boot.
    """
    also = {**_because(UNSEEN, "disable_shadow_read", "post.shadow_silent"), **row.also}
    return replace(row, also=also, fault=fault, environ={"DRILL_SERVICE__FLAGS_PATH": "", **environ})


def _idle(why: str) -> Expected:
    """Return what follows where dual-write is on, and its writer is idle from the boot on."""
    row = _red(why, "disable_dual_write", verdict=OPEN, also={"purge_delta": UNPURGED})
    says = ("the environment of", "in most it wins", "a writer that is on and does nothing would look the same")
    return replace(row, says=says, from_boot=True, result="inconclusive")


def _because(reason: str, *rows: str) -> dict[str, str]:
    return dict.fromkeys(rows, reason)


def _no_answers(why: str) -> Expected:
    """Return what follows where no search is answered on any instance."""
    also = {
        **_because(UNPROVEN, *BY_METRICS, "slo.latency"),
        "purge_delta": UNPURGED,
        "smoke.chat": "the chat searches first",
        "post.endpoints": "search is one of the endpoints",
    }
    del also["slo.errors"]
    red = {"smoke.search": FAIL, "slo.errors": FAIL}
    return Expected(red, why, also)


UNDESCRIBED = "in the binary format families without samples are not described, and buckets are not read"


def _nobody_in(why: str, *first: str) -> Expected:
    """Return what follows where no endpoint lets anybody in."""
    red = dict.fromkeys(("smoke.search", "smoke.embed", "smoke.chat", "post.endpoints", *first), FAIL)
    also = {**_because(UNPROVEN, *BY_METRICS, "post.faiss"), "purge_delta": UNPURGED}
    return Expected(red, why, {row: text for row, text in also.items() if row not in red})


def _uncounted(why: str, *first: str, verdict: str = ANY) -> Expected:
    """Return what follows where the metrics page cannot be trusted: whatever is judged by it is unproven."""
    also = {**_because(UNCOUNTED, "preflight.metrics", *BY_METRICS), "purge_delta": UNPURGED}
    red = dict.fromkeys(first, verdict)
    return Expected(red, why, {row: reason for row, reason in also.items() if row not in red})


def _unscraped(why: str, *first: str) -> Expected:
    """Return what follows where nothing can be read from the metrics page."""
    found = _uncounted(why, *first)
    return replace(found, also={**found.also, "slo.alerts": "for Prometheus an instance that it cannot scrape is down"})


def _on_target(why: str, *rows: str) -> Expected:
    """Return what follows where an instance goes on as in the incident."""
    also = {**_because(SICK, *EVERYTHING), **_because("the same instance, the same incident", *STEPS)}
    return Expected(dict.fromkeys(rows, FAIL), why, {row: text for row, text in also.items() if row not in rows})


def _refused(why: str) -> Expected:
    also = _because("the drill is refused: nothing was changed and nothing further was run", "preflight.env_file")
    return Expected({"preflight.faiss": FAIL}, why, also, result="refused")


def _shrunk(why: str) -> Expected:
    also = {
        **_because("it may be late enough to meet the new snapshot", "smoke.search", "smoke.chat"),
        "post.endpoints": "it may be asked while the snapshot is taken over",
        "purge_delta": "it may compare after the loss",
        "disable_dual_write": "what is new in FAISS since the reload may be what the target had before",
    }
    return Expected({"post.faiss": FAIL}, why, also, instance=0, result="failure")


def _spared(why: str, says: str) -> Expected:
    return Expected(
        {"purge_delta": OPEN, "post.faiss": OPEN}, why, instance=0, result="inconclusive", mode="spared", says=(says,)
    )


def _no_boot(why: str) -> Expected:
    red = dict.fromkeys(STEPS, FAIL)
    also = {**_because(PUT_BACK, *EVERYTHING), "preflight.service": "it is down already"}
    return Expected(red, why, also, result="failure")


def _monitoring(why: str, *first: str, verdict: str = ANY, also: Mapping[str, str] | None = None) -> Expected:
    """Return what a fault of Prometheus shows where Prometheus is the source."""
    blind = "the instances' own pages know nothing of what became of them in Prometheus"
    alerts = {"slo.alerts": "alerts live in the same Prometheus"}
    base = _uncounted(why, *first, verdict=verdict)
    beside = {row: reason for row, reason in {**base.also, **alerts, **(also or {})}.items() if row not in base.red}
    return replace(base, also=beside, only="prometheus", blind=blind)


def _alert(why: str, verdict: str) -> Expected:
    return Expected({"slo.alerts": verdict}, why, only="prometheus", blind="a service's own page holds no alerts")


GREEN = "success"

ROLLBACK: dict[str, Expected] = {
    # configuration
    "dual_write_flag_ignored": _unsaid(
        _red(
            "documents that were written since the reload are on the target",
            "disable_dual_write",
            also={"purge_delta": UNPURGED, "post.circuit_open": SICK, "post.target_errors": SICK},
        )
    ).on(1),
    "dual_write_one_tenant": _unsaid(
        _red(
            "one tenant's new documents are on the target, or its failed writes are counted",
            "disable_dual_write",
            also={"purge_delta": UNPURGED, "post.circuit_open": SICK, "post.target_errors": SICK},
        )
    ).on(1),
    "dual_write_late": replace(
        _red(
            "nothing is on the target at the first look, what the process says is false, and the second look finds it",
            "disable_dual_write",
            also={"purge_delta": "what comes late may come while the purge compares"},
        ),
        says=("at the end of the drill", "dual-write is still on"),
    ).on(1),
    "dual_write_derived_ids": replace(
        _red(
            "a copy of the canary is known by its text, whatever id it has",
            "disable_dual_write",
            also={"purge_delta": UNPURGED},
        ),
        says=("the canary", "dual-write is still on"),
    ).on(1),
    "process_environment_shadows": _unsaid(
        _red(
            "what counts is what the service does, not what the file says",
            "disable_dual_write",
            also={"purge_delta": UNPURGED, "post.circuit_open": SICK, "post.target_errors": SICK},
        )
    ),
    "restart_keeps_environment": _on_target(
        "the processes are new and their environment is old", *STEPS, "post.shadow_silent", "post.backend"
    ),
    "restart_keeps_dual_write_unseen": _unsaid(
        _red(
            "no document shows the flag and no process says it: a restart and silence are no proof",
            "disable_dual_write",
            verdict=f"{OPEN} {FAIL}",
            also={"purge_delta": UNPURGED, "post.circuit_open": SICK, "post.target_errors": SICK},
        )
    ),
    "environ_wins_silently": _unsaid(
        _idle("nobody's document comes to the target, and the environment says that the flag is on")
    ),
    "environ_wins_silently_without_canary": _unsaid(
        _idle("users' documents prove no more than the canary"), fault="environ_wins_silently", DRILL_CANARY__TENANT=""
    ),
    "environ_wins_as_it_says": replace(
        _red(
            "the process says itself that the flag is on",
            "disable_dual_write",
            also={"purge_delta": UNPURGED, "disable_shadow_read": UNSEEN, "post.shadow_silent": UNSEEN},
        ),
        fault="environ_wins_silently",
        from_boot=True,
    ),
    "hash_of_another_kind": _unsaid(
        _red(
            "an id that has come since counts, though no hash of the target ever agrees",
            "disable_dual_write",
            also={"purge_delta": UNPURGED, "post.circuit_open": SICK, "post.target_errors": SICK},
        ),
        fault="dual_write_flag_ignored",
        DRILL_TARGET__HASH_COLUMN="text",
    ).on(1),
    "shadow_read_flag_ignored": _red("the shadow counters move", "disable_shadow_read", "post.shadow_silent").on(1),
    "shadow_one_percent": _red(
        "a single shadow read in the observation window is one too many; the first look may be too short for 1 %",
        "post.shadow_silent",
        also={"disable_shadow_read": "seen at the first look already"},
    ),
    "backend_flag_ignored": _on_target("requests of another backend than FAISS are counted", "force_faiss").on(1),
    "falls_back_to_faiss": replace(
        _unsaid(
            _red("the same is seen of a service that obeys", "force_faiss", "post.backend", verdict=OPEN),
        ),
        says=("retrieval_fallback_total", "falls back from a sick target to FAISS looks the same"),
        result="inconclusive",
    ).on(1),
    "flags_cached_until_tomorrow": _on_target(
        "the instance restarted and still does all three", "force_faiss", "post.backend"
    ).on(1),
    "backend_flips_back": _red(
        "FAISS was proven, and is not the backend any more at the end",
        "post.backend",
        also=_because(SICK, *EVERYTHING, "force_faiss"),
    ).on(1),
    # processes
    "instance_not_restarted": _on_target("one instance goes on as before", "force_faiss", "post.backend").on(1),
    "reload_does_nothing": replace(
        _on_target("no instance takes the env file, and the row says what is likely", "force_faiss"),
        says=("no new process on", "--no-block"),
    ),
    "crashes_late": replace(
        _no_boot("an instance that was up before and is down after a restart that came late").on(1),
        says=("not healthy within", "the previous env file was restored, the service is back on it"),
    ),
    "crash_on_boot": _no_boot("the service does not come back with the new env file").on(1),
    "never_boots_again": _no_boot("the service does not come back, with the new env file or the old").on(1),
    "health_never_again": _no_boot("an instance whose health is bad with the new env file has not come back").on(1),
    "dies_after_boot": _red(
        "an instance that was healthy after the reload is not at the end",
        "post.backend",
        also={
            **_because(GONE, *EVERYTHING, *STEPS),
            "slo.alerts": "an instance that is gone fires an alert, where there are alerts",
        },
    ).on(1),
    "health_lies": _no_answers("health says 200 and every search fails"),
    "search_hangs": _no_answers("health says 200 and no search comes back"),
    # answers
    "login_page": _no_answers("a page in HTML with status 200 is no answer to a search"),
    "redirect": _no_answers("a redirect is no answer to a search, and is not followed"),
    "redirect_elsewhere": _no_answers("a redirect to another host is not followed: the token would go there"),
    "results_renamed": _no_answers("JSON of another shape is no answer to a search"),
    "empty_results": _red(
        "nothing is found",
        "smoke.search",
        also={"smoke.chat": "an answer is made of what a search finds", "post.faiss": NOTHING_FOUND},
    ).on(1),
    "empty_now_and_then": _red(
        "some queries find nothing",
        "smoke.search",
        also={"smoke.chat": "an answer is made of what a search finds", "post.faiss": NOTHING_FOUND},
    ),
    "query_cache": replace(
        _red(
            "a query that nobody has asked before finds nothing, whatever the cache answers",
            "smoke.search",
            verdict=OPEN,
            also={
                "post.faiss": "new queries among the probes find nothing either",
                "smoke.chat": "the chat's question is not in the cache",
            },
        ),
        says=("query that nobody has asked before", "as by a cache"),
    ).on(1),
    "same_results": _red(
        "different queries find the same documents", "smoke.search", also={"post.faiss": NOTHING_FOUND, **OTHERS}
    ).on(1),
    "duplicate_results": _red("one document fills the whole answer", "smoke.search").on(1),
    "other_tenant_results": _red(
        "results carry another tenant",
        "smoke.search",
        also={"post.faiss": "this tenant's FAISS has none of them", **OTHERS},
    ).on(1),
    "unknown_ids": _red("results that FAISS does not have", "smoke.search", "post.faiss").on(1),
    "stale_index": _red("golden documents are not among the results", "smoke.search", also=OTHERS).on(1),
    "nan_vectors": _red("a vector that holds NaN", "smoke.embed").on(1),
    "zero_vectors": _red("a zero vector", "smoke.embed").on(1),
    "constant_vectors": _red("two different texts have the same vector", "smoke.embed").on(1),
    "wrong_dimension": _red("vectors of another dimension than the index", "smoke.embed").on(1),
    "embed_errors": _red(
        "embed fails",
        "smoke.embed",
        also={
            "post.endpoints": "embed is one of the endpoints",
            "slo.errors": "the drill's own requests are counted too",
        },
    ).on(1),
    "chat_errors": _red(
        "chat fails while search is well", "smoke.chat", also={"slo.errors": "users' chats fail too"}
    ).on(1),
    "chat_flaky": _red(
        "chat fails now and then while search is well", "smoke.chat", also={"slo.errors": "users' chats fail too"}
    ),
    "chat_fallback": replace(
        _red("a text, but not what is expected of it", "smoke.chat"), says=("expect_text expects",)
    ).on(1),
    "chat_without_retrieval": replace(
        _red("retrieval is not asked for the chat's answers", "smoke.chat", verdict=FAIL),
        says=("expect_text expects",),
    ),
    "chat_without_retrieval_unnoticed": Expected(
        {"smoke.chat": OPEN},
        "where no text is expected, the answers are good, and nothing shows that retrieval gave them",
        result="inconclusive",
        says=("but retrieval was asked",),
        environ={"DRILL_SERVICE__CHAT": "{}"},
        fault="chat_without_retrieval",
    ),
    "auth_required": _nobody_in("nobody who asks without a token is answered", "slo.errors"),
    "token_empty": replace(
        _nobody_in("a variable that is empty holds up no flag, and is named where the service refuses"),
        says=("RETRIEVAL_TOKEN, which is empty or not set",),
        environ={"DRILL_SERVICE__AUTH_TOKEN_ENV": "RETRIEVAL_TOKEN"},
        fault="auth_required",
    ),
    "router_not_mounted": _nobody_in(
        "the service is healthy and serves none of the configured paths", "preflight.service"
    ),
    "chat_empty": _red("a chat answer without a word", "smoke.chat").on(1),
    "endpoint_missing": _red(
        "a listed endpoint answers 500", "post.endpoints", also={"slo.errors": "its answers are counted as errors"}
    ).on(1),
    # quality
    "errors_1_percent": _red(
        "more than the SLO allows, or too near to it to tell", "slo.errors", verdict=f"{FAIL} {OPEN}"
    ),
    "errors_5_percent": _red(
        "5 % of the searches fail, 1 % may",
        "slo.errors",
        also={"smoke.chat": "it may meet several of them", "smoke.search": "it may meet several of them"},
    ),
    "errors_begin": _red(
        "errors that begin after the first look are seen in the observation window",
        "slo.errors",
        verdict=f"{FAIL} {OPEN}",
        also={"smoke.search": "it may be late enough to meet them", "smoke.chat": "it may be late enough to meet them"},
    ),
    "slow_median": _red("the median is above the SLO", "slo.latency"),
    "slow_tail": _red(
        "P95 is above the SLO, the median is not",
        "slo.latency",
        also={"post.primary_latency": "a tail of this length is too uneven to be called stable"},
    ),
    "latency_drift": _red(
        "latency grows inside the window", "post.primary_latency", also={"slo.latency": "it may grow past the SLO"}
    ),
    "users_are_limited": replace(
        _red("users are answered 429, which the drill did not cause", "slo.errors"),
        says=("requests of users were answered 429",),
    ),
    # metrics
    "metrics_html": _unscraped("a page in HTML is no metrics", "preflight.metrics", "force_faiss").on(1),
    "metrics_missing": _uncounted("families that are not there are no zero", "preflight.metrics", "force_faiss").on(1),
    "metrics_renamed": _uncounted("families of another name are no zero", "preflight.metrics", "force_faiss").on(1),
    "metrics_truncated": _unscraped("half a page is no page", "preflight.metrics", "force_faiss").on(1),
    "metrics_hang": _unscraped("a page that does not come is no silence", "preflight.metrics", "force_faiss").on(1),
    "metrics_nan": _uncounted("a counter that is not a number is no zero", "preflight.metrics", "force_faiss").on(1),
    "metrics_without_start": _uncounted(
        "without a start time a restart would not be seen", "preflight.metrics", "force_faiss"
    ).on(1),
    "metrics_frozen": _uncounted("a page that never changes counts no probe", "force_faiss").on(1),
    "metrics_reset": _uncounted("counters that begin again have lost a part of what they counted", "slo.latency").on(1),
    "metrics_per_worker": _uncounted(
        "counters go up and down: every scrape meets another worker", "preflight.metrics"
    ).on(1),
    "metrics_of_one_worker": _uncounted(
        "half of the requests that only the drill sends are not counted", "preflight.metrics"
    ).on(1),
    "metrics_duplicate_series": _uncounted(
        "a series with two values is none, and Prometheus keeps one of the two", "preflight.metrics", "force_faiss"
    ).on(1),
    "metrics_native_histograms": _red(
        "a native histogram counts shadow reads under no name of its own",
        "disable_shadow_read",
        "post.shadow_silent",
        also={**_because(UNDESCRIBED, "preflight.metrics", *BY_METRICS), "purge_delta": UNPURGED},
    ).on(1),
    # what must be silent
    "outbox_growing": _red("the outbox grows", "post.circuit_open").on(1),
    "circuit_flapping": _red(
        "writes are skipped for an open circuit",
        "post.circuit_open",
        "disable_dual_write",
        also={"purge_delta": UNPURGED, **UNBELIEVED},
    ).on(1),
    "shadow_queue_drops": _red(
        "a shadow read that is dropped was meant to be done", "disable_shadow_read", "post.shadow_silent"
    ).on(1),
    "target_connection_errors": _red(
        "an error towards the target, by whatever still calls it",
        "post.target_errors",
        also={"slo.errors": "it is counted as a failed search"},
    ).on(1),
    "background_target_calls": _red(
        "searches on the target are counted, whoever asks them",
        "force_faiss",
        "post.backend",
        also={"post.target_errors": "the target fails them", "slo.errors": "the target fails them", **UNBELIEVED},
    ).on(1),
    # The env file
    "env_file_signed": Expected(
        {"preflight.env_file": FAIL},
        "an edit would make it unreadable to the tool that signed it",
        result="refused",
        says=("encrypted or signed (sops)", "decrypt"),
    ),
    "env_put_back": replace(
        _red("every process has the flags, and the next restart undoes them", "post.environment", also=UNWRITTEN),
        instance=0,
        result="failure",
        says=("RETRIEVAL_BACKEND is pgvector, was faiss", "the file from before this drill", "replaced at "),
    ),
    "env_moved_away": replace(
        _red("a service without its env file does not come up again", "post.environment", also=UNWRITTEN),
        instance=0,
        result="failure",
        says=(".env does not exist",),
    ),
    # FAISS
    "faiss_emptied": _refused("there is nothing to fall back to"),
    "faiss_truncated": _refused("the index cannot be read"),
    "faiss_mismatch": _refused("vectors and documents differ in number"),
    "faiss_lists_lost": _refused("an index without its lists answers nothing"),
    "faiss_snapshot_shrinks": _shrunk("two documents answer every search with a list"),
    "faiss_documents_swapped": _shrunk("as many documents as before, and none of those that were there"),
    "faiss_one_tenant_lost": _shrunk("one tenant's loss is not made up for by the others"),
    "faiss_vectors_zeroed": _shrunk("vectors that are all zero find nothing in particular"),
    "faiss_rows_mixed_up": replace(
        _shrunk("counts and ids stay, and a search finds the wrong documents"),
        red={"post.faiss": f"{FAIL} {OPEN}"},
        result="failure inconclusive",
    ),
    "faiss_loses_few": _spared(
        "as few as users may have deleted: it is asked which it was, and the target's copies are left alone",
        "[primary] expect_deletes",
    ),
    "faiss_texts_garbled_few": _spared(
        "texts that do not fit their vectors are damaged, and the target may have the last good ones",
        "with the same vector",
    ),
    "live_index_shrinks": _red(
        "the same queries find far fewer documents than at first",
        "post.faiss",
        also=_because("it may be late enough to meet the two that are left", "smoke.search", "smoke.chat"),
    ).on(1),
    # the incident itself
    "target_slow": Expected({}, "a slow target is why one rolls back: it is no fault after that", result=GREEN),
    "target_failing": Expected({}, "a failing target is why one rolls back", result=GREEN),
    "target_down": Expected({}, "a target that refuses the service is why one rolls back", result=GREEN),
    "vectors_drifted": Expected(
        {},
        "what the target would answer by is reported; the rollback does not depend on it",
        result=GREEN,
        tells={"purge_delta": "the target answers by other vectors"},
    ).on(0),
    "foreign_hashes": Expected(
        {"purge_delta": OPEN},
        "hashes of another kind say nothing of the content: nothing is stale by them, and it was not compared",
        says=("of another kind: 32 hex digits, expected 64 hex digits",),
        result="inconclusive",
    ),
    "cascade_on_target": Expected(
        {"purge_delta": FAIL},
        "what a delete would take along is in no quarantine: nothing is deleted",
        says=("rows of feedback refer to it ON DELETE CASCADE",),
        result="failure",
    ),
    # monitoring
    "prometheus_down": _monitoring("no answer is no silence", "preflight.metrics", "force_faiss", "slo.alerts"),
    "prometheus_slow": _monitoring("no answer is no silence", "preflight.metrics", "force_faiss", "slo.alerts"),
    "prometheus_stale": _monitoring("what was scraped long ago proves nothing", "preflight.metrics", "force_faiss"),
    "prometheus_partial": _monitoring("an instance that is not scraped is not seen", "preflight.metrics"),
    "wrong_job": _monitoring("a selector that matches nothing is no silence", "preflight.metrics", "force_faiss"),
    "duplicate_job": _monitoring("two jobs count everything twice", "preflight.metrics"),
    # After the reload nothing is left to drop: Prometheus keeps count of what it drops, and that is silent, too.
    "metric_relabel_drop": _monitoring("families that Prometheus drops are no zero", "preflight.metrics"),
    "clock_90s_off": _monitoring("samples that carry a time of their own are not those of the scrape", "force_faiss"),
    "alert_firing": _alert("an alert began to fire since the flags were written", FAIL),
    "alert_silenced": _alert("a silence tells who hears of an alert, not whether it fires", FAIL),
    "alert_inhibited": _alert("an inhibition tells who hears of an alert, not whether it fires", FAIL),
    "alert_pending": _alert("it may still fire", OPEN),
    "watchdog_missing": _alert("nothing shows that an alert would be seen", OPEN),
    "rule_broken": _alert("a rule that cannot be evaluated never fires", OPEN),
    "alert_fired_before": Expected(
        {},
        "what fired before and still fires is not news",
        only="prometheus",
        blind="a service's own page holds no alerts",
        result=GREEN,
    ),
}
