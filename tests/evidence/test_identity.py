"""Operator and reason: what may stand in a journal, and what is refused without being echoed."""

import pytest

from drill.errors import UsageError
from drill.identity import operator_handle, reason_text

GOOD = [
    "drill",
    "roll back by plan 20261128T001612Z-94f4b7",
    "INC-4711 pgvector latency, rollback",
    "incident-2025-10-21 P95 > 500 ms",
    "INC-20251021",
    "INC0012345678",
    "CHG0030412 approved",
    "dry-run staging",
    "window 2025-10-21T14:50:00Z to 2025-10-21T16:00:00+02:00",
    "20251021T145000Z weekly drill",
    "21.10.2025 14:50 Probe",
    "weekly drill 2025-W43, 10:30 - 11:15",
    "pgvector 0.8.1 -> 0.7.4",
    "faiss-cpu==1.11.0.post1",
    "pgvector@0.8.1 regression",
    "commit 3f2a9bc rollback",
    "FF_RETRIEVAL_DUAL_WRITE=OFF rehearsal",
    "retrieval_dual_write_outbox_size > 100000",
    "outbox at 1234567 entries",
    "since 1761058200",
    "error rate 0.0123 for 15 min",
    "node 10.2.3.4 and 127.0.0.1 slow",
    "P50/P95 = 120/480 ms, 3 120 samples",
    "risk-assessment-2025-rollback-exercise",
    "JIRA RETR-1234, PD Q2ABCDE9F0GH1",
    "https://status.example.org/incidents/4711",
    "INC-20251021-PgvectorLatency-P95",
    "token bucket exhausted: see runbook",
    "Übung für das Team, café",
    "répétition\u00a0: bascule",
    "region eu-central-1, shard 0001-0042",
    "password rotation exercise",
    "1000000000 rows, 10 000 000 orphans",
    "task-runner moved to sk-east cluster",
    "10:00:00 to 11:00:00",
]
BAD = [
    ("call alice@example.org", "e-mail"),
    ("alice.smith+oncall@mail.example.co.uk asked", "e-mail"),
    ("bob@163.com", "e-mail"),
    ("alice (at) example.org", "e-mail"),
    ("alice[at]example[dot]org", "e-mail"),
    ("alice\uff20example.org", "e-mail"),
    ("+49 30 1234567", "phone"),
    ("call +1 (555) 123-4567 now", "phone"),
    ("0049 30 1234567", "phone"),
    ("030 12345678", "phone"),
    ("0171/1234567", "phone"),
    ("tel 01 23 45 67 89", "phone"),
    ("555-123-4567", "phone"),
    ("(555) 123-4567", "phone"),
    ("5552345678", "phone"),
    ("+442071838750", "phone"),
    ("2025-10-21 call 030 12345678", "phone"),
    ("sk-proj-abc123def456ghi789", "token"),
    ("ghp_0123456789abcdefABCDEF0123456789abcd", "token"),
    ("key AKIAIOSFODNN7EXAMPLE", "token"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "token"),
    ("d41d8cd98f00b204e9800998ecf8427e", "token"),
    ("550e8400-e29b-41d4-a716-446655440000", "token"),
    ("q7Gz0vP2mXk9LwT4bN8cR1yD", "token"),
    ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "token"),
    ("password=hunter2", "password"),
    ("token: abc12345", "password"),
    ("Authorization: Bearer abc123def456", "password"),
    ("-----BEGIN PRIVATE KEY-----", "token"),
    ("postgresql://drill:pw@db/retrieval", "URL"),
    ("https://user@host/", "URL"),
    ("DE89 3704 0044 0532 0130 00", "bank"),
    ("GB82WEST12345698765432", "bank"),
    ("card 4111 1111 1111 1111", "card"),
    ("5500-0000-0000-0004", "card"),
    ("078-05-1120", "social"),
    ("client 8.8.8.8", "IP"),
    ("client 2a00:1450:4001:81b::200e", "IP"),
    ("two\nlines", "control"),
    ("bell\x07", "control"),
    ("\x1b[31mred", "control"),
    ("right\u202eleft", "control"),
    ("x" * 121, "121 characters"),
]


@pytest.mark.parametrize("text", GOOD)
def test_a_usual_reason_passes_and_is_kept(text: str) -> None:
    assert reason_text(text) == text.replace("\u00a0", " ")


@pytest.mark.parametrize(("text", "kind"), BAD, ids=range(len(BAD)))
def test_a_reason_with_personal_data_or_a_secret_is_refused_and_not_echoed(text: str, kind: str) -> None:
    with pytest.raises(UsageError) as refusal:
        reason_text(text)
    message = str(refusal.value)
    assert kind in message
    assert text not in message
    assert "\n" not in message


@pytest.mark.parametrize("text", [None, "", "  \t "])
def test_no_reason_is_drill(text: str | None) -> None:
    assert reason_text(text) == "drill"


@pytest.mark.parametrize("name", ["alice", "a", "ops.on-call_2", "o" * 32, "u1234567"])
def test_a_handle_passes(name: str) -> None:
    assert operator_handle(name, {}) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "alice@example.org",
        "alice smith",
        "A" * 33,
        "alice\n",
        "\u00e4lice",
        "alice/..",
        "555-123-4567",
        "AKIAIOSFODNN7EXAMPLE",
    ],
)
def test_what_is_no_handle_is_refused_and_not_echoed(name: str) -> None:
    with pytest.raises(UsageError) as refusal:
        operator_handle(name, {"DRILL_OPERATOR": "alice"})
    assert not name or name not in str(refusal.value)
    assert "--operator" in str(refusal.value)


def test_the_operator_comes_from_the_option_then_the_variable_then_the_login() -> None:
    environ = {"DRILL_OPERATOR": "bob", "LOGNAME": "carol", "USER": "dave"}
    assert operator_handle("alice", environ) == "alice"
    assert operator_handle(None, environ) == "bob"
    assert operator_handle(None, {"LOGNAME": "carol", "USER": "dave"}) == "carol"
    assert operator_handle(None, {}) != ""


def test_a_login_name_that_is_an_address_is_not_echoed() -> None:
    with pytest.raises(UsageError, match="the login name is not a handle") as refusal:
        operator_handle(None, {"LOGNAME": "alice@corp.example"})
    assert "corp" not in str(refusal.value)
