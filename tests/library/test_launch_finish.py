"""The two ends of a drill: what it starts with, and what users felt."""

import json
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from drill.errors import UsageError
from drill.finish import close_measurements, search_leaks, undo_hints, write_journal
from drill.journal.schema import schema_errors
from drill.launch import shown_path
from drill.leaks.of_drill import searched
from drill.probe import ProbeResult
from drill.record import Evidence
from drill.verdict import Result, Verdict
from tests.library.world import MIGRATING, Probes, make_drill, start, with_probes

REQUIRED_ALWAYS = "preflight.faiss"
JUDGED_LATER = ("smoke.search", "slo.latency", "post.backend")


def test_a_dry_run_with_changes_requires_the_prerequisites_only(tmp_path: Path) -> None:
    entries = make_drill(tmp_path, env=MIGRATING).record.entries
    assert entries[REQUIRED_ALWAYS].required
    assert not any(entries[row].required for row in JUDGED_LATER)


@pytest.mark.parametrize("apply", [True, False])
def test_apply_and_a_rolled_back_file_require_everything(tmp_path: Path, apply: bool) -> None:
    entries = make_drill(tmp_path, apply=apply).record.entries
    assert all(entries[row].required for row in (REQUIRED_ALWAYS, "slo.alerts", "smoke.chat", *JUDGED_LATER))
    assert not any(entries[row].required for row in ("reopen.shadow_read", "reopen.dual_write", "purge_delta"))


def test_what_the_operator_has_not_is_not_required(tmp_path: Path) -> None:
    entries = make_drill(tmp_path, apply=True, toml='[service]\nchat_path = ""\n[slo]\nalerts = ""').record.entries
    assert [row.id for row in entries.values() if not row.required and row.id[:4] in {"smok", "slo."}] == [
        "smoke.chat",
        "slo.alerts",
    ]


def test_the_planned_changes_are_recorded(tmp_path: Path) -> None:
    assert make_drill(tmp_path, env=MIGRATING).record.changes == {
        "FF_RETRIEVAL_DUAL_WRITE": "OFF",
        "FF_RETRIEVAL_SHADOW_READ": "OFF",
        "RETRIEVAL_BACKEND": "faiss",
    }


def test_a_broken_env_file_refuses_the_drill_which_still_has_a_record(tmp_path: Path) -> None:
    launched = start(tmp_path, env="RETRIEVAL_BACKEND=\0\n", apply=True)
    assert launched.drill is None
    assert launched.record.result is Result.REFUSED
    assert launched.events.path.exists()


def test_a_second_drill_on_the_same_env_file_is_refused(tmp_path: Path) -> None:
    first = start(tmp_path, apply=True)
    second = start(tmp_path, apply=True)
    assert first.drill is not None
    assert second.drill is None
    assert second.record.exit_code == 11


def test_a_wrong_configuration_is_a_usage_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="p50"):
        start(tmp_path, toml="[slo]\np50 = 1")
    assert not (tmp_path / "artifacts").exists()


def test_paths_are_shown_relative_to_the_working_directory_or_bare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "a" / ".env") == "a/.env"
    assert shown_path(Path("a/.env")) == "a/.env"
    assert shown_path(Path("/elsewhere/.env")) == ".env"


class Ended(Probes):
    """Probes that can be told to stop."""

    def stop(self) -> None:
        """Do nothing: they have all been sent."""


def test_a_failed_probe_stands_for_the_time_until_the_next_one_of_its_instance(tmp_path: Path) -> None:
    launched = start(tmp_path)
    assert launched.drill is not None
    results = [ProbeResult(n / 10, "a", 0.01, not 20 <= n < 30, "") for n in range(101)]
    with_probes(launched.drill, Ended(results))
    launched.drill.written_at = 2.0
    close_measurements(launched, time.monotonic())
    record = launched.record
    assert record.downtime_s == pytest.approx(1.0)
    assert record.facts["probes sent"] == 101
    assert record.facts["probes failed since the flags were written"] == 10
    assert record.facts["availability"] == pytest.approx(1 - 10 / 81, abs=1e-5)
    assert record.duration_s >= 0


def test_without_a_write_all_probes_count(tmp_path: Path) -> None:
    launched = start(tmp_path)
    assert launched.drill is not None
    with_probes(launched.drill, Ended([ProbeResult(float(n), "a", 0.0, n > 0, "") for n in range(5)]))
    close_measurements(launched, time.monotonic())
    assert launched.record.downtime_s == pytest.approx(1.0)


def test_a_drill_that_never_probed_claims_no_availability(tmp_path: Path) -> None:
    launched = start(tmp_path)
    close_measurements(launched, time.monotonic())
    assert (launched.record.downtime_s, launched.record.facts) == (None, {})
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("probe")]


def test_probes_of_which_none_has_ended_claim_no_availability(tmp_path: Path) -> None:
    launched = start(tmp_path)
    assert launched.drill is not None
    with_probes(launched.drill, Ended([]))
    close_measurements(launched, time.monotonic())
    assert (launched.record.downtime_s, launched.record.facts) == (None, {})


def test_a_drill_that_was_refused_at_once_has_nothing_to_leak(tmp_path: Path) -> None:
    assert search_leaks(start(tmp_path, env="RETRIEVAL_BACKEND=\0\n"), []) == []


def test_only_a_drill_that_applies_may_write_the_env_file(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, env=MIGRATING, apply=True)
    drill.env_file.apply(drill.plan)
    assert "RETRIEVAL_BACKEND=faiss" in (tmp_path / ".env").read_text()


def test_a_secret_in_an_artifact_fails_the_drill_without_repeating_it(tmp_path: Path) -> None:
    launched = start(tmp_path, env=f"{MIGRATING}API_KEY=hunter2-hunter2\n")
    clean, leaky = tmp_path / "clean.html", tmp_path / "leaky.html"
    clean.write_text("nothing here")
    leaky.write_text("key hunter2-hunter2")
    assert search_leaks(launched, [clean]) == []
    found = search_leaks(launched, [clean, leaky])
    assert len(found) == 1
    assert "hunter2" not in found[0]
    assert launched.record.entries["preflight.env_file"].evidence.verdict is Verdict.FAIL
    assert launched.record.result is Result.FAILURE


def test_a_configured_token_is_searched_for_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "open-sesame-42")
    launched = start(tmp_path, toml='[service]\nauth_token_env = "MY_TOKEN"')
    leaky = tmp_path / "leaky.html"
    leaky.write_text("open-sesame-42")
    assert len(search_leaks(launched, [leaky])) == 1


def test_an_artifact_that_cannot_be_searched_is_no_clean_one(tmp_path: Path) -> None:
    assert len(search_leaks(start(tmp_path, env=f"{MIGRATING}API_KEY=hunter2-hunter2\n"), [tmp_path / "gone"])) == 1


def test_how_to_undo_depends_on_what_was_done(tmp_path: Path) -> None:
    record = make_drill(tmp_path).record
    assert "Nothing to undo" in undo_hints(record)[0]
    record.flags_written = True
    assert "cp -p -- .env.bak .env" in undo_hints(record)[0]
    record.purge.purged = 3
    assert "quarantine" in undo_hints(record)[1]
    record.restored = True
    assert "Nothing to undo" in undo_hints(record)[0]


def test_a_secret_in_the_quarantine_fails_the_drill(tmp_path: Path) -> None:
    launched = start(tmp_path, env=f"{MIGRATING}API_KEY=hunter2-hunter2\n")
    folder = launched.events.path.parent / "quarantine"
    folder.mkdir()
    pq.write_table(pa.table({"payload": ["the key is hunter2-hunter2"]}), folder / "part.parquet")
    assert search_leaks(launched, []) == ["part.parquet holds the value of API_KEY"]
    assert launched.record.result is Result.FAILURE


def test_a_secret_is_kept_out_of_the_journal_line_and_the_drill_fails(tmp_path: Path) -> None:
    launched = start(tmp_path, env=f"{MIGRATING}API_KEY=hunter2-hunter2\n", notes="look at hunter2-hunter2")
    launched.record.entries["smoke.chat"].evidence = Evidence(Verdict.PASS, 'said "hunter2-hunter2"')
    for found in search_leaks(launched, []):
        assert "API_KEY" in found
    written = write_journal(launched)
    assert written.path is not None
    line = written.path.read_text()
    assert "hunter2" not in line
    entry = json.loads(line)
    assert (entry["notes"], entry["result"], entry["exit_code"]) == ("withheld", "failure", 1)
    assert [row["reason"] for row in entry["checks"] if row["id"] == "smoke.chat"] == ["withheld"]
    assert schema_errors(entry) == []


def test_a_journal_line_is_searched_even_if_no_report_was(tmp_path: Path) -> None:
    launched = start(tmp_path, env=f"{MIGRATING}API_KEY=hunter2-hunter2\n", notes="hunter2-hunter2")
    path = write_journal(launched).path
    assert path is not None
    assert "hunter2" not in path.read_text()
    assert json.loads(path.read_text())["result"] == "failure"


def test_secrets_that_cannot_be_searched_for_are_counted_in_the_report(tmp_path: Path) -> None:
    launched = start(tmp_path, env=f"{MIGRATING}API_KEY=faiss\nDB_PASSWORD=x1\n")
    close_measurements(launched, time.monotonic())
    assert launched.record.facts == {"secrets too short or too common to be searched for": 2}
    assert search_leaks(launched, []) == []


def test_the_way_back_is_safe_to_paste(tmp_path: Path) -> None:
    record = make_drill(tmp_path).record
    record.env_file, record.flags_written = "$(reboot) .env", True
    assert "cp -p -- '$(reboot) .env.bak' '$(reboot) .env'" in undo_hints(record)[0]


def test_an_address_that_a_key_names_is_no_secret_but_a_login_in_it_is(tmp_path: Path) -> None:
    env = f"{MIGRATING}FAISS_DATA_DIR=faissdata\nQDRANT_URL=http://qdrant.example:6333\nQDRANT_API_KEY=k7-k8-k9\n"
    toml = '[target]\nkind = "qdrant"\nurl_env = "QDRANT_URL"\napi_key_env = "QDRANT_API_KEY"'
    started = start(tmp_path, env=env, toml=toml)
    wanted = searched(started.config, started.env_values, started.record)
    assert list(wanted.secrets) == ["QDRANT_URL", "QDRANT_API_KEY"]
    assert wanted.not_in_documents == {"QDRANT_URL"}
