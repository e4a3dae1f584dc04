"""What a drill must show of each oddity: success, or one row that is inconclusive and says why."""

from dataclasses import replace

from sandbox.faults.expected.model import OPEN, Expected

GREEN = "success"


def _well(why: str) -> Expected:
    return Expected({}, why, result=GREEN)


def _tells(why: str, **rows: str) -> Expected:
    return Expected({}, why, result=GREEN, tells=rows)


LIMITED = "the service limits the drill (HTTP 429"
BY_PROBES = ("slo.latency", "slo.errors", "post.primary_latency")
BY_REQUESTS = (
    *("preflight.service", "preflight.metrics", "disable_dual_write", "disable_shadow_read", "force_faiss"),
    *("purge_delta", "smoke.search", "smoke.embed", "smoke.chat", "post.endpoints", "post.target_errors"),
    *("post.circuit_open", "post.shadow_silent", "post.backend"),
)
TURNED_AWAY = "what was not answered proves nothing, and nothing bad was seen"

UNDESCRIBED = "the binary format does not describe families without samples: silence cannot be told from absence"

STATED: dict[str, Expected] = {
    "env_file_of_systemd": _well("lines that python-dotenv skips are left alone, and hold up no rollback"),
    "own_names": _well("what merely serves as a default stops nothing, and nobody reads other values"),
    "env_touched": replace(
        _tells(
            "other lines of the env file are whose they are; the flags read as they were written",
            **{"post.environment": "other lines are not as they were; replaced at "},
        ),
        instance=0,
    ),
    "async_ingest": _well("a write that is done later is a write: the canary is waited for"),
    "ingest_takes_long": replace(
        _well("each process says that it is off; the canary is found and removed when it comes"),
        tells={"disable_dual_write": "took the canary, and FAISS has it not"},
        mixes=False,
    ),
    "ids_given_by_service": replace(
        _well("the canary is known by its text, whatever id it has"),
        environ={"DRILL_SERVICE__FLAGS_PATH": ""},
        tells={"disable_dual_write": "4 of them by the drill"},
        mixes=False,
    ),
    "ingest_drops": _well("no document shows dual-write, and each process says that it is off"),
    "deletes_nothing": _tells(
        "what the service does not delete is left, named, and no divergence", disable_dual_write="is left in FAISS"
    ),
    "snapshots_every_second": _well("a snapshot that is replaced while it is read is read again"),
    "users_delete": Expected(
        {},
        "users who delete documents are no loss, where it is said that they do",
        environ={"DRILL_PRIMARY__EXPECT_DELETES": "true"},
        result=GREEN,
        mixes=False,
    ),
    "users_delete_unsaid": Expected(
        {"post.faiss": "inconclusive"},
        "a few documents fewer may be a loss or users: it is asked which",
        also={"purge_delta": "what FAISS lost since the drill began is left on the target, by whomever"},
        says=("known ones gone", "expect_deletes"),
        result="inconclusive",
        mixes=False,
    ),
    "users_update": replace(
        _tells("what users have changed since is no leaving of the dual-write, and is left", purge_delta="has changed"),
        mode="spared",
        mixes=False,
    ),
    "documents_stand_twice": Expected(
        {"purge_delta": "inconclusive"},
        "a needed rollback is not refused for it; the purge needs every id once",
        says=("have the id of another one", "deferred"),
        tells={"preflight.faiss": "have the id of another one"},
        result="inconclusive",
        mixes=False,
    ),
    "options_not_implemented": _well("only the configured method says whether an endpoint is there"),
    "options_forbidden": _well("only the configured method says whether an endpoint is there"),
    "options_not_found": _well("only the configured method says whether an endpoint is there"),
    "chat_elsewhere": replace(
        _well("the path of the chat is a matter of configuration"),
        environ={"DRILL_SERVICE__CHAT_PATH": "/assistant/ask"},
        mixes=False,
    ),
    "json_by_other_names": _well("JSON is JSON by whatever name, and whatever is in upper case"),
    "json_as_text": _well("JSON is told by what it holds, an answer's end by its chunks, and connections are cheap"),
    "answers_compressed": _well("gzip is unpacked though it was not asked for, within the same bounds"),
    "slash_redirect": _well("a redirect to the same path with its slash is followed, and no other"),
    "results_with_more": _well("what is not known is not looked at, and a number in quotes is a number"),
    "hashes_in_upper_case": _well("the case of hex digits is no other hash"),
    "target_ids_as_integers": replace(
        _well('7 and "7" are one id, and each side is asked for its own: scanned, found, purged and kept'),
        environ={"DRILL_SMOKE__QUERIES": "[]", "DRILL_CANARY__ID": "900000000"},
        tells={
            "disable_dual_write": "of them by the drill, none of them on the target",
            "purge_delta": "all in the quarantine; compared again, no divergence from the snapshot is left",
        },
        mixes=False,
    ),
    "target_is_referred_to": _well("what a delete does not reach is no objection to it"),
    "slow_boot": _well("a slow restart is a restart: users feel it, and it ends"),
    "warms_up": replace(
        _well(
            "searches that fail only while the index is loaded are downtime, which ends: judged once they are answered"
        ),
        mixes=False,
    ),
    "answers_cached": _well("a cache that is as good as its index hides nothing: new queries find documents, too"),
    "finds_known_words_only": Expected(
        {"smoke.search": OPEN},
        "a dead index behind a cache would look the same",
        also={"post.faiss": "new queries among the probes find nothing either"},
        says=("set [smoke] new_queries = false",),
        result="inconclusive",
        mixes=False,
    ),
    "finds_known_words_only_said": replace(
        _well("where it is said that unknown words find nothing, no such query is sent"),
        environ={"DRILL_SMOKE__NEW_QUERIES": "false"},
        fault="finds_known_words_only",
        mixes=False,
    ),
    "restarts_late": _well("new processes are waited for, whenever the reload command returns"),
    "restarts_one_by_one": _well("each instance is waited for on its own"),
    "boots_on_faiss_only": replace(
        _well("what was down before the rollback and is well after it is healed"),
        tells={"preflight.service": "healed: ", "force_faiss": "healed: "},
        instance=1,
        mixes=False,
    ),
    "health_in_html": _well("the status of an answer decides, whatever it holds"),
    "health_degraded": replace(
        _well("a health that was bad before says nothing of the rollback: searches decide"),
        tells={"preflight.service": "as before the rollback"},
        mixes=False,
    ),
    "health_behind_login": replace(
        _well("a health that cannot be asked says nothing of the rollback: searches decide"),
        tells={"preflight.service": "as before the rollback"},
        mixes=False,
    ),
    "rate_limited": Expected(
        dict.fromkeys(BY_PROBES, OPEN),
        "too few probes are let through; none of those that were not is a failure",
        also=dict.fromkeys(BY_REQUESTS, TURNED_AWAY),
        result="inconclusive",
        says=(LIMITED, "[probe] rate"),
        mixes=False,
    ),
    "shared_rate_limit": Expected(
        dict.fromkeys(BY_PROBES, OPEN),
        "probes are fewer, so that users are not turned away; what few probes prove is not proven",
        also=dict.fromkeys(BY_REQUESTS, TURNED_AWAY),
        result="inconclusive",
        says=("[probe] rate",),
        mixes=False,
    ),
    "page_like_flask": _well("Prometheus reads the classic format under any name, to its last byte"),
    "page_of_odd_lines": _well("Prometheus reads each line for itself"),
    "workers_share_page": replace(
        _well("workers that name themselves are seen to be others after the restart"),
        environ={"DRILL_SERVICE__WORKER_ID": "header:X-Worker"},
        mixes=False,
    ),
    "native_histograms": Expected(
        {"slo.latency": OPEN},
        "the buckets of native histograms are not read, and the reason says so; their counts are",
        also=dict.fromkeys(("slo.errors", "post.primary_latency", *BY_REQUESTS), UNDESCRIBED),
        result="inconclusive",
        says=("counts without buckets, as a native histogram does",),
        only="prometheus",
        blind="an instance's own page has classic histograms",
        mixes=False,
    ),
    "rate_limit_headers": _well("a limit that nobody comes near changes nothing"),
    "snapshots_take_the_processor": _well("what slows searches now and then does not last"),
    "slow_under_load": _well("the drill's own load stays even, so latency does"),
}
"""Oddity -> what must be shown, as of a fault: nothing red, or rows that are inconclusive with ``says``."""
