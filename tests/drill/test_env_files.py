"""Whole drills on odd env files: what is refused says why, what takes long holds up no flag."""

import os
import re

import pytest

from drill.envfile import FLAGS
from sandbox.stack import Stack
from tests.drill.harness import ENV, Desk
from tests.drill.test_bad_input import clear_line
from tests.drill.test_partial_runs import run

AFTER = ENV.replace(b"WRITE=ON", b"WRITE=OFF").replace(b"READ=ON", b"READ=OFF").replace(b"pgvector", b"faiss")
CIPHER = b"ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]"
SEALED = {
    "values in clear": (ENV + b"sops_mac=" + CIPHER + b"\nsops_version=3.10.2\n", "`sops edit`"),
    "values encrypted": (b"PROM_QUERY_URL=" + CIPHER + b"\nDRILL_SLO__P50_MS=" + CIPHER + b"\n", "`sops edit`"),
    "git-crypt": (b"\0GITCRYPT\0\x01", "`git-crypt unlock`"),
}


@pytest.mark.parametrize("mode", ["--dry-run", "--apply"])
@pytest.mark.parametrize(("data", "hint"), SEALED.values(), ids=SEALED.keys())
def test_an_encrypted_or_signed_env_file_is_refused_and_stays(
    env_desk: Desk, mode: str, data: bytes, hint: str
) -> None:
    env_desk.env_file.write_bytes(data)
    ran = env_desk.drill(mode)
    ran.expect(11)
    clear_line(ran.output, "service.env", "encrypted or signed", "expected a plain env file", hint)
    assert [entry["result"] for entry in ran.entries] == ["refused"]
    assert env_desk.env_file.read_bytes() == data
    assert list(env_desk.env_file.parent.glob("service.env.*bak*")) == []


@pytest.mark.parametrize("mode", ["--dry-run", "--apply"])
def test_a_fifo_in_the_place_of_the_env_file_is_refused_at_once(env_desk: Desk, mode: str) -> None:
    env_desk.env_file.unlink()
    os.mkfifo(env_desk.env_file)
    ran = env_desk.drill(mode, timeout_s=120)
    ran.expect(11)
    clear_line(ran.output, "service.env", "not a regular file")


def test_lines_that_python_dotenv_skips_hold_up_no_rollback(env_desk: Desk) -> None:
    """Continued lines and ``;`` comments of a systemd env file: the flags are written, the warning follows."""
    odd = b"; what the unit needs\nJAVA_OPTS=-Xmx1g \\\n  -server -verbose x\n"
    env_desk.env_file.write_bytes(odd + ENV)
    ran = run(env_desk, "--apply", "--purge", "off")
    assert env_desk.env_file.read_bytes() == odd + AFTER
    assert ran.verdicts["preflight.env_file"] == "pass"
    clear_line(ran.output, "service.env", "line 1, 3 does not parse", "left as it is")


def test_warnings_are_looked_for_after_the_flags_are_written(env_desk: Desk) -> None:
    """Who else would misread the file is asked when the rollback is over; in a dry-run it is part of the plan."""
    odd = b"A=don't\n"
    env_desk.env_file.write_bytes(odd + ENV)
    dry = run(env_desk)
    assert "(warnings: 2)" in dry.reason("preflight.env_file")
    ran = run(env_desk, "--apply", "--purge", "off")
    assert env_desk.env_file.read_bytes() == odd + AFTER
    assert "warnings" not in ran.reason("preflight.env_file")
    clear_line(ran.output, "service.env", "bash will not see FF_RETRIEVAL_DUAL_WRITE")
    assert "bash" in ran.reports[-1].read_text()


def test_an_env_file_that_is_made_to_take_long_holds_up_no_flag(env_desk: Desk) -> None:
    """Lines that double, and commands without end: the flags are written before anything else is made of them."""
    doubling = "".join(f"A{number}=${{A{number - 1}}}${{A{number - 1}}}\n" for number in range(1, 41))
    odd = b"A0=0123456789\n" + doubling.encode() + b"B=" + b"a&&" * 200_000 + b"\n"
    env_desk.env_file.write_bytes(odd + ENV)
    ran = run(env_desk, "--apply", "--purge", "off")
    assert env_desk.env_file.read_bytes() == odd + AFTER
    assert set(ran.entry["changes"]) == set(FLAGS)
    clear_line(ran.output, "service.env", "it was not tried whether", "bash")


OWN_NAMES = {
    "PROM_QUERY_URL": "op://prod/monitoring/url",
    "RETRIEVAL_TARGET_BACKEND": "vector-store-of-ours",
    "FAISS_DATA_DIR": "s3://bucket/faiss",
}


@pytest.mark.parametrize("mode", ["--dry-run", "--apply"])
def test_what_the_service_calls_its_own_things_stops_no_rollback(env_desk: Desk, mode: str) -> None:
    """Each row that lacks one of them names the variable, and never what it holds."""
    own = "".join(f"{name}={value}\n" for name, value in OWN_NAMES.items()).encode()
    env_desk.env_file.write_bytes(own + ENV)
    ran = run(env_desk, mode)
    assert ran.code not in {4, 11}, ran
    assert env_desk.env_file.read_bytes() == own + (AFTER if mode == "--apply" else ENV)
    assert "FAISS_DATA_DIR" in ran.reason("preflight.faiss")
    assert "PROM_QUERY_URL" in ran.reason("preflight.metrics")
    assert not any(value in ran.output + str(ran.entries) for value in OWN_NAMES.values())


def test_an_odd_env_file_and_defaults_of_the_service_s_own_are_green(stack: Stack, desk: Desk) -> None:
    """A service whose env file holds lines that python-dotenv skips, and a drill that is told next to nothing."""
    odd = b"; for the unit, don't edit\nOPTS=-a \\\n  -b x y\nnot a statement\n"
    before = odd + stack.env_file.read_bytes()
    stack.env_file.write_bytes(before)
    written = stack.drill_config.read_text()
    told = re.sub(r'(?m)^(kind = "pgvector"|path = .*)\n', "", written)
    assert told.count("\n") == written.count("\n") - 2
    stack.env_file.with_name("told.toml").write_text(told)
    ran = desk.drill("--apply", "--drill-config", str(stack.env_file.with_name("told.toml")))
    ran.expect(0)
    assert stack.env_file.read_bytes().startswith(odd)
    assert len(stack.env_file.read_bytes()) == len(before) + 2 + len("faiss") - len("pgvector")
