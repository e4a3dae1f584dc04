"""What a dry-run must say of what no rollback mends: red now, at the ids that would be red afterwards."""

from dataclasses import replace

from sandbox.faults.expected.model import FAIL, OPEN, Expected

SMOKE = ("smoke.search", "smoke.embed", "smoke.chat")
FORETOLD = "would be red after --apply"
TOKEN = {"DRILL_SERVICE__AUTH_TOKEN_ENV": "RETRIEVAL_TOKEN"}


def _foreseen(why: str, *rows: str, fault: str, says: tuple[str, ...] = ()) -> Expected:
    return Expected(dict.fromkeys(rows, FAIL), why, result="failure", mode="dry-run", says=says, fault=fault)


DRY_RUN: dict[str, Expected] = {
    "auth_required_foreseen": _foreseen(
        "a token that is not there will not be there after the rollback",
        *SMOKE,
        fault="auth_required",
        says=(FORETOLD, "no token is configured; set [service] auth_token_env"),
    ),
    "token_empty_foreseen": replace(
        _foreseen(
            "a variable that is empty is seen before the service is asked",
            *("preflight.service", *SMOKE),
            fault="auth_required",
            says=("auth_token_env names RETRIEVAL_TOKEN, which is empty or not set",),
        ),
        environ=TOKEN,
    ),
    "router_not_mounted_foreseen": _foreseen(
        "routes are none of the three flags",
        *("preflight.service", *SMOKE),
        fault="router_not_mounted",
        says=("not serve", "_path)"),
    ),
    "chat_fallback_foreseen": _foreseen(
        "searches are well, so retrieval is not the reason", "smoke.chat", fault="chat_fallback", says=(FORETOLD,)
    ),
    "chat_without_retrieval_foreseen": Expected(
        {"smoke.chat": OPEN},
        "a chat that does not ask retrieval proves nothing of it",
        result="inconclusive",
        mode="dry-run",
        says=("not known before --apply", "but retrieval was asked"),
        environ={"DRILL_SERVICE__CHAT": "{}"},
        fault="chat_without_retrieval",
    ),
    "zero_vectors_foreseen": _foreseen(
        "embeddings are made before any store is asked",
        "smoke.embed",
        fault="zero_vectors",
        says=(FORETOLD, "a zero vector"),
    ),
    "wrong_dimension_foreseen": _foreseen(
        "embeddings are made before any store is asked",
        "smoke.embed",
        fault="wrong_dimension",
        says=(FORETOLD, "vectors of dimensions"),
    ),
    "backend_flag_ignored_foreseen": Expected(
        {"force_faiss": FAIL},
        "the file says FAISS already, and the processes, which are younger, answer from the target",
        result="failure",
        mode="dry-run",
        says=(FORETOLD, "no process obeys this env file"),
        changes={b"RETRIEVAL_BACKEND=pgvector": b"RETRIEVAL_BACKEND=faiss"},
        fault="backend_flag_ignored",
    ),
    "shadow_read_flag_ignored_foreseen": Expected(
        {"disable_shadow_read": FAIL},
        "the file says OFF already, and shadow reads are counted",
        result="failure",
        mode="dry-run",
        says=(FORETOLD, "no process obeys this env file"),
        changes={b"SHADOW_READ=ON": b"SHADOW_READ=OFF"},
        fault="shadow_read_flag_ignored",
    ),
    "faiss_whatever_the_file": Expected(
        {"force_faiss": FAIL},
        "the file names a target that is well, and no request was ever answered by it",
        result="failure",
        mode="dry-run",
        says=(FORETOLD, "FAISS has answered every request since the boot"),
        from_boot=True,
    ),
}
"""Faults that a dry-run must call what they are before a rollback is tried."""
