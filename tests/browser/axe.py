"""axe-core, which looks for barriers in a page: installed as locked, into a directory that git ignores."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "axe"
LOCKED = ("package.json", "package-lock.json")


def source() -> str:
    """Return the script, installing it where it is not there yet; skips the test where npm is missing."""
    script = BUILD / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists() or any((BUILD / name).read_bytes() != (HERE / name).read_bytes() for name in LOCKED):
        _install()
    return script.read_text("utf-8")


def _install() -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm for axe-core: apt-get install npm")
    BUILD.mkdir(parents=True, exist_ok=True)
    for name in LOCKED:
        shutil.copyfile(HERE / name, BUILD / name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr


def barriers(page: "Page", *rules: str) -> list[str]:
    """Return what axe-core objects to in the whole page, by all of its rules for WCAG and good practice, or by some."""
    page.evaluate(source())
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{one['impact']} {one['id']}: {json.dumps([node['target'] for node in one['nodes']])[:300]}"
        for one in found["violations"]
    ]
