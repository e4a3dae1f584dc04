"""What of one drill is secret, and keeping it out of what the drill says."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from drill.config import Config
from drill.envfile.flags import FLAGS
from drill.leaks.search import Search
from drill.leaks.values import Searched, secrets_of
from drill.record import DrillRecord, Evidence
from drill.verdict import Verdict

WITHHELD = "withheld"
"""What stands in the journal in place of a text that held a secret."""
UNSHOWN = {("smoke", "queries"), ("service", "chat_body")}
"""What of the configuration no artifact shows."""
UNTOUCHED = {"timestamp", "result", "schema", "drill_id", "id", "outcome", "verdict", "op", "prev_sha256"}
"""Fields of the journal that the drill fills with words of its own."""


def searched(config: Config, env: Mapping[str, str | None], record: DrillRecord) -> Searched:
    """Return what the artifacts of a drill are searched for.

    The variables that ``*_env`` keys name are read as the drill reads them: of the process, else of the env file.
    """
    shown = [*_strings(config), *FLAGS.values(), *record.changes.values(), record.env_file, record.operator]
    shown += [value for key, value in env.items() if key in FLAGS and value]
    shown += [value for rung in record.rungs for value in rung.changes.values()]
    secret, other = ({name: _read(name, env) for name in _named(config, of)} for of in (True, False))
    return secrets_of({**env, **other}, shown, {name: value for name, value in secret.items() if value})


def _read(name: str, env: Mapping[str, str | None]) -> str:
    return os.environ.get(name) or env.get(name) or ""


def _named(config: Config, secret: bool) -> Iterator[str]:
    """Yield what ``*_env`` keys of any section name: the secret ones, or those of addresses and paths.

    The address of a target is a secret if there is a login in it, as any value is; that of a webhook is one by itself.
    """
    for section in fields(config):
        table = getattr(config, section.name)
        for key in fields(table) if is_dataclass(table) else ():
            plain = section.name == "rehearsal" or (section.name == "target" and key.name.endswith("url_env"))
            if key.name.endswith("_env") and plain is not secret and (name := getattr(table, key.name)):
                yield name


def _strings(config: Config) -> Iterator[str]:
    for section in fields(config):
        table = getattr(config, section.name)
        for key in fields(table) if is_dataclass(table) else ():
            if (section.name, key.name) not in UNSHOWN:
                yield from _texts(getattr(table, key.name))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, list | tuple):
        yield from (text for item in value for text in _texts(item))
    elif isinstance(value, dict):
        yield from (text for item in (*value, *value.values()) for text in _texts(item))


def withheld(evidence: Evidence, search: Search) -> Evidence:
    """Return ``evidence``, or in its place a fail that says whose value it held."""
    texts = [evidence.reason, evidence.value, evidence.threshold, *evidence.detail, *evidence.detail.values()]
    names = search.in_text("\n".join(text for text in texts if isinstance(text, str)))
    if not names:
        return evidence
    return Evidence(Verdict.FAIL, f"{WITHHELD}: what was seen here holds the value of {', '.join(names)}")


def without_secrets(entry: Any, search: Search) -> Any:
    """Return a journal entry in which every text that holds a secret is replaced."""
    if isinstance(entry, dict):
        return {key: v if key in UNTOUCHED else without_secrets(v, search) for key, v in entry.items()}
    if isinstance(entry, list):
        return [without_secrets(item, search) for item in entry]
    return WITHHELD if isinstance(entry, str) and search.in_text(entry) else entry
