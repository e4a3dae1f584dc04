"""Settings: flags read strictly from the env file, the process environment on top."""

from pathlib import Path

import pytest

from sandbox.service.errors import SettingsError
from sandbox.service.settings import load, parse

BASE = {"FAISS_DATA_DIR": "data", "PGVECTOR_DSN": "postgresql:///x", "RETRIEVAL_TENANTS": "default,acme"}


@pytest.mark.parametrize("word", ["ON", "on", "true", "1", "True"])
def test_on_is_understood(word: str) -> None:
    """In every usual spelling, for every tenant."""
    assert parse(BASE | {"FF_RETRIEVAL_DUAL_WRITE": word}).dual_write_tenants == {"default", "acme"}


@pytest.mark.parametrize("word", ["OFF", "off", "false", "0"])
def test_off_is_understood(word: str) -> None:
    """In every usual spelling."""
    settings = parse(BASE | {"FF_RETRIEVAL_DUAL_WRITE": word, "FF_RETRIEVAL_SHADOW_READ": word})
    assert not settings.dual_write
    assert not settings.shadow_read


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("FF_RETRIEVAL_DUAL_WRITE", "maybe"),
        ("FF_RETRIEVAL_SHADOW_READ", ""),
        ("FF_RETRIEVAL_SHADOW_SAMPLE_RATE", "1.5"),
        ("FF_RETRIEVAL_SHADOW_SAMPLE_RATE", "nan"),
        ("RETRIEVAL_BACKEND", "faisss"),
        ("FAISS_DATA_DIR", " "),
        ("DEFAULT_TENANT", "nobody"),
    ],
)
def test_a_wrong_value_is_refused_by_name_in_one_line(key: str, value: str) -> None:
    """The operator sees which key it is."""
    with pytest.raises(SettingsError, match=key) as caught:
        parse(BASE | {key: value})
    assert "\n" not in str(caught.value)


def test_the_process_environment_wins_over_the_file(tmp_path: Path) -> None:
    """As in most services that load an env file."""
    env_file = tmp_path / ".env"
    env_file.write_text("FF_RETRIEVAL_DUAL_WRITE=OFF\nFAISS_DATA_DIR=data\nPGVECTOR_DSN=x\n")
    assert not load(env_file, {}).dual_write
    assert load(env_file, {"FF_RETRIEVAL_DUAL_WRITE": "ON"}).dual_write


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """In one line, without a traceback."""
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(SettingsError, match="cannot be read"):
        load(env_file, {})
