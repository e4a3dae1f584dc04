"""What bad input gets: one clear line, the right exit code, a journal line where a drill was meant, nothing changed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.drill.harness import DEAD, ENV, ROOT, Desk, surely_ended


def clear_line(output: str, *words: str) -> None:
    """Assert that one line of the output holds all ``words``."""
    assert any(all(word in line for word in words) for line in output.splitlines()), output


@pytest.mark.parametrize("mode", ["--dry-run", "--apply"])
def test_a_missing_env_file_is_refused_with_a_journal_line(tmp_path: Path, mode: str) -> None:
    desk = Desk(tmp_path / "nowhere.env", tmp_path / "artifacts", tmp_path / "reports")
    ran = desk.drill(mode)
    ran.expect(11)
    clear_line(ran.output, "nowhere.env", "does not exist", "--env-file")
    assert [entry["result"] for entry in ran.entries] == ["refused"]
    assert not desk.env_file.exists()


def test_an_unreadable_env_file_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path, tmp_path / "artifacts", tmp_path / "reports")
    ran = desk.drill("--apply")
    ran.expect(11)
    clear_line(ran.output, "not a regular file")
    assert len(ran.entries) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--apply", "--dry-run"), ("--apply", "--dry-run")),
        (("--operator", "alice@example.org"), ("--operator", "handle")),
        (("--reason", "call me on +49 170 1234567"), ("--reason",)),
        (("--reason", "x" * 121), ("120",)),
        (("--purge", "sometimes"), ("--purge",)),
        (("--plan", "20251021T145000Z-3f9a1c"), ("--plan", "--apply")),
        (("--apply", "--plan", "../../etc/passwd"), ("--plan", "dry-run")),
    ],
)
def test_wrong_usage_is_exit_4_without_a_journal_line(
    env_desk: Desk, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    ran = env_desk.drill(*options)
    ran.expect(4)
    clear_line(ran.output, *words)
    assert not ran.entries
    assert env_desk.env_file.read_bytes() == ENV
    for text in ("alice@example.org", "1234567"):
        assert text not in ran.output


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[service]\nbase_ulr = "http://x"\n', ("base_ulr", "base_url")),
        ("[slo]\np95_ms = true\n", ("p95_ms", "a number")),
        ("[sol]\n", ("[sol]", "slo")),
        ("[slo\n", ("drill.toml", "TOML")),
        ('[service]\nbase_url = "http://u:secret-word@h"\n', ("credentials", "token")),
    ],
)
def test_a_wrong_configuration_names_the_key_and_writes_nothing(
    env_desk: Desk, toml: str, words: tuple[str, ...]
) -> None:
    env_desk.env_file.with_name("drill.toml").write_text(toml)
    ran = env_desk.drill("--apply")
    ran.expect(4)
    clear_line(ran.output, *words)
    assert "secret-word" not in ran.output
    assert not ran.entries
    assert env_desk.env_file.read_bytes() == ENV


def test_no_env_file_at_all_is_wrong_usage() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "drill_tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    clear_line(done.stdout + done.stderr, "--env-file", "--sandbox")


def test_a_conftest_beside_the_env_file_is_never_executed(env_desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w').close()\n")
    env_desk.drill()
    assert not (tmp_path / "executed").exists()


def test_a_service_that_nothing_listens_for_is_red_and_what_was_down_before_is_not_put_back(env_desk: Desk) -> None:
    """The flags stay: it is not they that the service is down for, and its next start takes them."""
    ran = env_desk.drill()
    ran.expect(1)
    assert ran.verdicts["preflight.service"] == "fail"
    clear_line(ran.output, "127.0.0.1:9", "connection refused", "base_url")
    assert env_desk.env_file.read_bytes() == ENV

    applied = env_desk.drill("--apply")
    applied.expect(1)
    assert applied.entry["restored"] is False
    assert applied.verdicts["preflight.service"] == "fail"
    assert set(applied.entry["changes"].values()) == {"OFF", "faiss"}
    assert len(applied.entries) == 2


def test_a_second_drill_at_the_same_time_is_refused(env_desk: Desk) -> None:
    env_desk.env_file.with_name("drill.toml").write_text(f'[service]\nbase_url = "{DEAD}"\nreload_timeout_s = 30\n')
    begun = subprocess.Popen(env_desk.command("--apply"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with surely_ended(begun) as first:
        while env_desk.env_file.read_bytes() == ENV:
            assert first.poll() is None
        ran = env_desk.drill("--apply")
        ran.expect(11)
        clear_line(ran.output, "lock")
        assert [entry["result"] for entry in ran.entries] == ["refused"]
        first.terminate()
        output, _ = first.communicate(timeout=60)
    assert first.returncode == 12, output.decode()
    assert [entry["result"] for entry in env_desk.journal()] == ["refused", "interrupted"]
