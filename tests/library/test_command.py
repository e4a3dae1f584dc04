"""Commands of the configuration: what they said last is kept, and nothing that they leave running waits for us."""

import os
import sys
import time
from pathlib import Path

import pytest

from drill.command import KEPT_BYTES, Ended, run_command
from drill.last_words import LOG, clean_lines, last_words
from drill.leaks import Search
from drill.secret import Secret

SECRET = "q7Vw-x2Lk_9tRz"


def run(code: str, *arguments: str, within_s: float = 20.0) -> Ended:
    command = [sys.executable, "-S", "-c", code, *arguments]
    return run_command(command, os.environ, time.monotonic() + within_s, lambda: None)


def search(value: str = SECRET) -> Search:
    return Search({"API_KEY": Secret(value)})


def test_what_a_command_said_last_is_kept_of_both_streams() -> None:
    ended = run("import sys; print('to out', flush=True); print('to err', file=sys.stderr); sys.exit(5)")
    assert ended.problem.endswith("ended with exit code 5")
    assert ended.said == b"to out\nto err\n"


def test_a_command_that_says_a_great_deal_is_not_held_up_and_its_end_is_kept_from_a_whole_line() -> None:
    """A line of which only the end is left could be the end of a secret."""
    ended = run("import sys\nfor n in range(200000): print('line', n)\nsys.exit(1)")
    assert ended.said is not None
    assert len(ended.said) <= KEPT_BYTES
    assert ended.said.startswith(b"line ")
    assert ended.said.endswith(b"line 199999\n")


def test_one_endless_line_is_not_kept_in_part() -> None:
    assert run("import sys; sys.stdout.write('x' * 100000); sys.exit(1)").said == b""


def test_a_command_that_was_ended_for_its_time_is_heard_too() -> None:
    ended = run("import time; print('waiting for the pods', flush=True); time.sleep(60)", within_s=1.5)
    assert "did not end within 1.5 s" in ended.problem
    assert ended.said == b"waiting for the pods\n"


def test_a_command_that_could_not_be_started_has_said_nothing(tmp_path: Path) -> None:
    assert run_command([str(tmp_path / "missing")], {}, time.monotonic() + 1, lambda: None).said is None


DAEMON = """
import os, sys, time
if os.fork() == 0:
    while os.path.exists(sys.argv[1]): time.sleep(0.02)
    for _ in range(200): print("x" * 4096, flush=True)
    open(sys.argv[2], "w").close()
    os._exit(0)
print("started", flush=True)
os._exit(3)
"""


def test_what_a_command_left_running_is_neither_waited_for_nor_stopped_by_its_output(tmp_path: Path) -> None:
    """It writes more than a pipe holds after the command has ended: without a reader it would hang or be killed."""
    hold, done = tmp_path / "hold", tmp_path / "done"
    hold.touch()
    ended = run(DAEMON, str(hold), str(done))
    assert ended.said == b"started\n"
    hold.unlink()
    deadline = time.monotonic() + 30
    while not done.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert done.exists()


def test_the_last_words_are_on_one_line_and_all_of_them_in_a_file_of_the_drill(tmp_path: Path) -> None:
    log = tmp_path / LOG
    said = b"\x1b[31mPulling\x1b[0m\r50%\rdone\n\none\ntwo\nthree \x07\n"
    words = last_words(said, search(), log)
    assert words == f"its last words: one | two | three \\x07 (more: {LOG} beside the drill's events)"
    assert log.read_text().splitlines() == ["Pulling", "50%", "done", "one", "two", "three \\x07"]
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_link_in_the_place_of_the_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / LOG).symlink_to(tmp_path / "elsewhere")
    assert last_words(b"no\n", search(), tmp_path / LOG) == "its last words: no"
    assert not (tmp_path / "elsewhere").exists()


def test_silence_is_said(tmp_path: Path) -> None:
    assert last_words(b" \n\x1b[0m\n", search(), tmp_path / LOG) == "it said nothing"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (SECRET, f"password {SECRET} refused\nUnit failed\n"),
        (SECRET, f"\x1b[1m{SECRET[:6]}\x1b[0m{SECRET[6:]}\nUnit failed\n"),
        ("a b\u00a0c d e f", "key a b\u00a0c d e f\nUnit failed\n"),
        ("tab\there-and-there", "key tab\there-and-there\nUnit failed\n"),
    ],
)
def test_a_line_that_holds_a_secret_is_withheld_and_the_others_are_not(value: str, said: str) -> None:
    """Also one that colours break up, and one that printing would change."""
    assert clean_lines(said, search(value)) == ["[withheld: holds the value of API_KEY]", "Unit failed"]


@pytest.mark.parametrize("value", ["first-half\nsecond-half", SECRET])
def test_a_secret_that_is_broken_over_lines_withholds_all(value: str) -> None:
    said = value if "\n" in value else f"{value[:5]}\n{value[5:]}"
    assert clean_lines(f"key:\n{said}\n", search(value)) == ["[withheld: holds the value of API_KEY]"]


def test_what_looks_personal_or_secret_is_withheld_though_nobody_named_it() -> None:
    lines = clean_lines("mail jane.doe@example.com\nok\n", search())
    assert lines == ["[withheld: looks like an e-mail address]", "ok"]
