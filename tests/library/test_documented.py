"""The documents tell of what the code has: every key with its default, every path and every metric of the contract."""

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from drill.checks.preflight import NEEDED
from drill.config import Config, Service, Target
from drill.envfile import FLAGS
from drill.metrics.names import METRIC_NAMES
from drill.target.settings import KINDS

DOCS = Path(__file__).parents[2] / "docs"
HEADING = re.compile(r"### \[(?P<section>[\w.]+)\](?: of kind (?P<kind>\w+))?")
ROW = re.compile(r"\| `(?P<key>\w+)` \| `(?P<default>.*?)` \|(?P<meaning> .+ \|)?")
UNSAID = {"source", "taken", "unusable"}
"""What a configuration holds that is no section."""


def as_toml(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {as_toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    return f"'{value}'" if isinstance(value, str) and '"' in value else json.dumps(value)


def defaults(settings: type[Any], section: str) -> Iterator[tuple[str, str]]:
    for one in fields(settings):
        made = one.default_factory() if one.default_factory is not MISSING else one.default
        if is_dataclass(made):
            yield from defaults(type(made), f"{section}.{one.name}")
        else:
            yield f"{section}.{one.name}", as_toml(made)


def of_the_code() -> dict[str, str]:
    sections = {one.name: one.default_factory for one in fields(Config) if one.name not in UNSAID}
    found = {key: text for name, made in sections.items() for key, text in defaults(made, name)}  # type: ignore[arg-type]
    common = {one.name for one in fields(Target)}
    for kind, keys in KINDS.items():
        own = dict(defaults(keys, f"target {kind}"))
        found |= {key: text for key, text in own.items() if key.rpartition(".")[2] not in common}
    return found


def of_the_document(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if heading := HEADING.fullmatch(line):
            section = " ".join(filter(None, heading.groups()))
        elif row := ROW.match(line):
            assert f"{section}.{row['key']}" not in found, line
            assert row["meaning"] or section.startswith("target "), line
            found[f"{section}.{row['key']}"] = row["default"].replace("\\|", "|")
    return found


def test_every_key_stands_in_the_table_with_its_default() -> None:
    assert of_the_document((DOCS / "configuration.md").read_text()) == of_the_code()


@pytest.mark.parametrize("change", [("`observe_s` | `30.0`", "`observe_s` | `60.0`"), ("| `top_k` | `5` |", "|")])
def test_a_table_that_is_not_true_is_noticed(change: tuple[str, str]) -> None:
    text = (DOCS / "configuration.md").read_text()
    assert change[0] in text
    assert of_the_document(text.replace(*change)) != of_the_code()


def test_the_contract_names_every_path_metric_and_flag() -> None:
    text = (DOCS / "service-contract.md").read_text()
    paths = [one.name for one in fields(Service) if one.name.endswith("_path")]
    served = [value for name in paths if (value := getattr(Service(), name))]
    for name in (*paths, *served, *NEEDED, *METRIC_NAMES, *FLAGS, "docs.json", "index.faiss", "/openapi.json"):
        assert f"`{name}" in text, name


def test_what_the_documents_link_to_is_there() -> None:
    for page in ("service-contract.md", "configuration.md"):
        for link in re.findall(r"\]\(([\w.-]+)(?:#[\w-]+)?\)", (DOCS / page).read_text()):
            assert (DOCS / link).is_file(), f"{page}: {link}"


def test_the_tests_that_the_documents_name_are_there() -> None:
    """What shows a promise cannot be renamed without the document."""
    texts = {page.name: page.read_text() for page in DOCS.glob("*.md")}
    named = {(name, test) for name, text in texts.items() for test in re.findall(r"`(tests/[\w/]+\.py)", text)}
    assert ("security.md", "tests/library/test_surroundings.py") in named
    assert [one for one in sorted(named) if not (DOCS.parent / one[1]).is_file()] == []
