"""The history as a page: drills newest first, how long ago each env file's last success was, and trends."""

import math
from base64 import b64encode
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import quote

from drill.history.past import EnvHistory, History, Past
from drill.history.plots import MAX_POINTS, trend
from drill.report.text import seconds
from drill.verdict import Result

if TYPE_CHECKING:
    from jinja2 import Template

MAX_ENVS = 50
"""How many env files are listed and can be filtered by: those drilled last."""
MAX_TRENDS = 6
"""How many of them have their trend drawn: a plot takes a tenth of a second."""
MAX_NAMES = 5
"""How many of the overdue ones are named at the top."""
MAX_NOTES = 60
"""Characters of a reason that the table shows; the report and the journal hold all of it."""
_CLASSES = {str(result): str(result)[0] for result in Result} | {str(Result.INCONCLUSIVE): "n"}
"""Classes of rows, by result; a word that this version does not know has none of them."""

Keys = dict[tuple[str, str], str]
"""What each environment is called in the page's classes."""


@dataclass(frozen=True, slots=True)
class _Env:
    """An env file as the page lists it; ``at`` are seconds since the epoch, empty if it never was."""

    name: str
    key: str
    drills: str
    rehearsed: str
    rehearsed_at: str
    performed: str
    performed_at: str
    newest_at: str
    state: str
    stale: bool
    superseded: bool
    plot: str


def render_history(history: History, reports: Collection[str], max_age_days: float, now: datetime) -> str:
    """Return the page. ``reports`` are the names of the report files that exist; ``now`` is shown as its age.

    All texts of the journal are escaped; the page loads nothing and its policy lets no script but its own run.
    """
    keys = {env.key: f"e{number}" for number, env in enumerate(history.envs[:MAX_ENVS])}
    stale = history.stale(max_age_days, now)
    script = _source("history.js")
    text: str = _template().render(
        history=history,
        envs=[_env(env, history, keys, max_age_days, now) for env in history.envs[:MAX_ENVS]],
        more_envs=len(history.envs) - len(keys),
        results=[(key, word) for word, key in _CLASSES.items()],
        rows="\n".join(_rows(history.drills, frozenset(reports), keys)),
        stale=len(stale),
        overdue=_names([env.name for env in stale]),
        max_age=f"{max_age_days:g}",
        built=f"{now:%Y-%m-%d %H:%M} UTC",
        built_at=int(now.timestamp()),
        chain=_chain(history),
        max_points=MAX_POINTS,
        max_trends=MAX_TRENDS,
        style=_source("history.css"),
        script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
    )
    # A lone surrogate must not keep the page from being written.
    return text.encode("utf-8", "replace").decode("utf-8")


def age_in_words(days: float) -> str:
    """Return an age for reading; `history.js` says the same when the page is looked at later."""
    if math.isinf(days):
        return "never"
    whole = max(0, math.floor(days))
    return "today" if whole == 0 else f"{whole} day{'s' * (whole > 1)} ago"


def _env(env: EnvHistory, history: History, keys: Keys, max_age_days: float, now: datetime) -> _Env:
    late = not env.superseded and env.age_days(now) > max_age_days
    key = keys[env.key]
    number = int(key[1:])
    mine = [drill for drill in history.drills if drill.key == env.key] if number < MAX_TRENDS else []
    return _Env(
        name=env.name,
        key=key,
        drills=f"{env.drills:,}",
        rehearsed=_moment(env.rehearsed, now),
        rehearsed_at=_epoch(env.rehearsed),
        performed=_moment(env.performed, now),
        performed_at=_epoch(env.performed),
        newest_at=_epoch(env.succeeded),
        state="known better since" if env.superseded else "too long ago" if late else "recent enough",
        stale=late,
        superseded=env.superseded,
        plot=trend(env.name, mine, number) if mine else "",
    )


def _moment(at: datetime | None, now: datetime) -> str:
    return "never" if at is None else age_in_words((now - at).total_seconds() / 86_400)


def _epoch(at: datetime | None) -> str:
    return "" if at is None else str(int(at.timestamp()))


def _names(names: list[str]) -> str:
    """Return the first few names and how many there are besides; `history.js` does the same."""
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def _chain(history: History) -> str:
    chain = history.chain
    if not chain.broken_total:
        return "holds"
    lines = ", ".join(map(str, chain.broken)) + (", ..." if chain.broken_total > len(chain.broken) else "")
    return f"is broken at {chain.broken_total} line{'s' * (chain.broken_total > 1)} ({lines})"


def _rows(drills: list[Past], reports: frozenset[str], keys: Keys) -> Iterator[str]:
    """Yield a table row per drill; HTML lets the end tags be left out, which is a fifth of the page."""
    for drill in drills:
        when = f"{drill.at:%Y-%m-%d %H:%M:%S}"
        report = PurePath(drill.report).name
        link = f'<a href="{quote(report)}">{when}</a>' if report in reports else when
        kind, mode = _CLASSES.get(drill.result, "u"), "apply" if drill.apply else "dry-run"
        yield (
            f'<tr class="{kind} {mode[0]} {keys.get(drill.key, "")}"><th scope=row>{link}'
            f"<td><b>{_escape(drill.result)}</b><td>{mode}<td>{_escape(drill.env_file)}<td>{_escape(drill.operator)}"
            f"<td>{_seconds(drill.duration_s)}<td>{_seconds(drill.time_to_safety_s)}<td>{_seconds(drill.downtime_s)}"
            f"<td>{'' if drill.p95_ms is None else f'{drill.p95_ms:.0f} ms'}<td>{_escape(_cut(drill.notes))}"
        )


def _seconds(value: float | None) -> str:
    return "" if value is None else escape(seconds(value))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_NOTES else text[: MAX_NOTES - 1] + "…"


@lru_cache(maxsize=4096)
def _escape(text: str) -> str:
    return escape(text)


def _source(name: str) -> str:
    return files("drill.history").joinpath(name).read_text("utf-8")


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_source("history.html.jinja"))
