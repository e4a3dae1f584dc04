"""From the record of a drill to the head of its report, in HTML that needs neither JavaScript nor network."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from drill.record import DrillRecord
from drill.report.view import view

if TYPE_CHECKING:
    from jinja2 import Environment


def render_summary(
    record: DrillRecord,
    flags_before: Mapping[str, str | None],
    journal_head: str,
    undo: tuple[str, ...] = (),
) -> str:
    """Return the verdict, the flags, every row with its evidence, the purge and how to undo, as one HTML fragment.

    ``flags_before`` gives each flag's value before the drill (``None``: the key was absent). ``journal_head`` is the
    SHA-256 of the journal's last line before this drill's own. ``undo`` are commands or sentences, in order.
    All values are escaped; the fragment carries its own style.
    """
    return _render("summary.html.jinja", record, flags_before, journal_head, undo)


def render_page(
    record: DrillRecord,
    flags_before: Mapping[str, str | None],
    journal_head: str,
    undo: tuple[str, ...] = (),
) -> str:
    """Return the same as a whole page: the report when pytest-html cannot write its own around it."""
    return _render("page.html.jinja", record, flags_before, journal_head, undo)


def title(record: DrillRecord) -> str:
    """Return the page's title as plain text: what a browser tab and a list of files must tell apart."""
    mode = "apply" if record.apply else "dry-run"
    return f"Rollback drill, {mode}: {record.result}, {record.env_file}"


def _render(
    template: str, record: DrillRecord, before: Mapping[str, str | None], head: str, undo: tuple[str, ...]
) -> str:
    text = (
        _environment()
        .get_template(template)
        .render(page=view(record, before), journal_head=head, undo=undo, title=title(record))
    )
    # A lone surrogate (from a file name that is not UTF-8) must not keep the report from being written.
    return text.encode("utf-8", "replace").decode("utf-8")


@cache
def _environment() -> "Environment":
    from jinja2 import DictLoader, Environment, StrictUndefined

    folder = files("drill.report")
    names = ("summary.html.jinja", "page.html.jinja", "report.css")
    sources = {name: folder.joinpath(name).read_text("utf-8") for name in names}
    return Environment(
        loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
