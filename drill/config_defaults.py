"""The service's own names in its env file, where they serve as defaults for keys that nobody wrote for the drill.

They were written for the service, so one that the drill cannot use is left out and said by the row that lacks it: it
never keeps a rollback from running. Only names of variables are said, never values.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drill.config import Target
from drill.config_check import url_problem
from drill.target.settings import KINDS, all_keys, key_types, service_defaults

Values = Mapping[str, str | None]
Tables = dict[str, dict[str, Any]]

PROMETHEUS, FAISS, TARGET, TENANT = "PROM_QUERY_URL", "FAISS_DATA_DIR", "RETRIEVAL_TARGET_BACKEND", "DEFAULT_TENANT"
_ALIASES: Mapping[str, str] = {
    "pg": "pgvector",
    "psql": "pgvector",
    "postgres": "pgvector",
    "postgresql": "pgvector",
    "elastic": "elasticsearch",
    "es": "elasticsearch",
    "aoss": "opensearch",
    "zilliz": "milvus",
}
"""How services call the kinds, in lower case and without separators and what stands behind in `_MORE`."""
_MORE = re.compile(r"(?:db|cloud|serverless|managed|hosted|service|server|vectorstore|store|client|vector|lite|v?\d+)$")
_BEFORE = re.compile(r"^(?:amazon|aws|azure|gcp|managed)")


class Defaults:
    """Fills what is missing in ``tables``. ``taken``: key -> variable; ``unusable``: key -> why it has no default."""

    def __init__(self, tables: Tables, env_values: Values, env_file: Path) -> None:
        self.taken: dict[str, str] = {}
        self.unusable: dict[str, str] = {}
        self._tables = tables
        self._values = env_values
        folder = env_file.parent
        prometheus, faiss = env_values.get(PROMETHEUS) or "", env_values.get(FAISS) or ""
        self._take("metrics", "prometheus_url", PROMETHEUS, prometheus, url_problem(prometheus))
        self._take("primary", "path", FAISS, str(folder / faiss), _path_problem(faiss))
        tenant = env_values.get(TENANT)
        self._take("service", "tenants", TENANT, [tenant] if tenant else [], "")
        self._target(tables.get("target", {}))

    def _take(self, section: str, key: str, name: str, value: object, problem: str) -> None:
        if not self._values.get(name) or key in self._tables.get(section, {}):
            return
        where = f"[{section}] {key}"
        if problem:
            self.unusable[where] = f"{name} of the env file cannot be used: {problem}; set {where}"
        else:
            self._tables.setdefault(section, {})[key] = value
            self.taken[where] = name

    def _target(self, written: dict[str, Any]) -> None:
        """Take the kind of the target, and of the kind that is then known the connection."""
        kind = kind_called(self._values.get(TARGET) or "")
        strange = [key for key in written if key not in key_types(KINDS[kind])] if kind else []
        problem = "" if kind else f"it names no kind that is known ({', '.join(KINDS)})"
        if strange and strange[0] in all_keys():
            problem = f"the kind that it names has no key {strange[0]!r}, which is written for the drill"
        self._take("target", "kind", TARGET, kind, problem)
        if problem and "[target] kind" in self.unusable:
            # What was written for a kind that nobody names cannot be judged: without a kind nothing is connected to.
            kept = key_types(Target).keys() | written.keys() - all_keys().keys()
            self._tables["target"] = {key: value for key, value in written.items() if key in kept}
        table = self._tables.get("target", {})
        for key, value in service_defaults(str(table.get("kind", "")), self._values).items():
            other = key.removesuffix("_env") if key.endswith("url_env") else key
            if key not in table and other not in table:
                table[key] = value


def kind_called(name: str) -> str:
    """Return the kind of target that a service calls ``name``; empty if none is known by it."""
    plain = _BEFORE.sub("", re.sub(r"[^a-z0-9]", "", name.lower()))
    while plain and plain not in KINDS and plain not in _ALIASES:
        shorter = _MORE.sub("", plain)
        if shorter == plain:
            return ""
        plain = shorter
    return plain if plain in KINDS else _ALIASES.get(plain, "")


def _path_problem(text: str) -> str:
    """Say why ``text`` is no path of this machine, as far as its form tells; empty if it may be one."""
    if "://" in text or text.startswith("~") or not text.isprintable():
        return "expected a path of this machine"
    return ""
