"""From the material of a report to one page, in HTML that needs neither JavaScript nor network."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from drill.printable import printable
from drill.report.material import Material
from drill.report.view import title, view

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render_page", "title"]

_SCRIPT = "report.js"


def render_page(material: Material) -> str:
    """Return the report: one self-contained page, all values escaped, that forbids itself every request."""
    text = _environment().get_template("page.html.jinja").render(page=view(material), script_hash=_script_hash())
    # A lone surrogate (from a file name that is not UTF-8) must not keep the report from being written.
    return text.encode("utf-8", "replace").decode("utf-8")


@cache
def _source(name: str) -> str:
    return files("drill.report").joinpath(name).read_text("utf-8")


@cache
def _script_hash() -> str:
    """Return the hash by which the page's policy knows its own script, and lets no other run."""
    return b64encode(sha256(_source(_SCRIPT).encode()).digest()).decode()


def _shown(value: object) -> object:
    """Make a text printable, line by line: names of backends, alerts and documents are the choice of others."""
    return "\n".join(printable(line) for line in value.split("\n")) if type(value) is str else value


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Style, script and figures are the project's own markup; the figures' texts were escaped when they were drawn.
    environment.filters["markup"] = Markup
    environment.globals["source"] = lambda name: Markup(_source(name))  # noqa: S704 - a file of this package
    return environment
