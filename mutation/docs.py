"""``docs/mutation.md``, made of the last results of every module."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mutation.explained import explanation, explanation_of_kind
from mutation.run import ROOT, Mutant
from mutation.targets import TARGETS

RESULTS = ROOT / "build" / "mutation"
PATH = ROOT / "docs" / "mutation.md"

HEAD = """\
# Mutation test of the checks

`make mutation` breaks the code that judges in every small way, one at a time, and runs the tests that belong to it:
each comparison inverted and moved by one step, each condition negated, each `and`, `or`, `not`, truth value and number
changed (cosmic-ray; operators and tests of each module are in `mutation/targets.py`). A mutant that no test notices
survives: then a check could be wrong in this way and nobody would know. One that is harmless has its reason in
`mutation/explained.py`; one that is "not explained" is a gap in the tests, and `make mutation` ends with an error.

`python -m mutation drill/checks/slo.py` does one module, in less than a minute of processor time. A mutant inside a
function is tried in a fork of one pytest session, by the tests that reach that function (`mutation/forks.py`); what is
changed outside of functions is tried in a fresh process, by all tests of the module, unless it is of a kind that may
survive. First the tests must be green without a mutant. Results are kept in `build/mutation`; `--again` tries only what
survived without a reason, `--docs-only` writes this page.
"""


def keep(module: str, mutants: list[Mutant]) -> None:
    """Keep a module's results."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = [{name: getattr(mutant, name) for name in Mutant.__slots__} for mutant in mutants]
    _path(module).write_text(json.dumps(rows, indent=1) + "\n")


def kept(module: str) -> list[Mutant]:
    """Return a module's last results; none if it was not run."""
    path = _path(module)
    return [Mutant(**row) for row in json.loads(path.read_text())] if path.exists() else []


def write_docs() -> None:
    """Write the file."""
    PATH.write_text("\n".join(_lines()) + "\n")


def _lines() -> Iterator[str]:
    results = {module: kept(module) for module in TARGETS}
    yield from (HEAD, "| module | mutants | noticed | explained | not explained |", "|---|---|---|---|---|")
    for module, mutants in results.items():
        if not mutants:
            yield f"| `{module}` | not run | | | |"
            continue
        yield _row(f"`{module}`", mutants)
    yield _row("all", [mutant for mutants in results.values() for mutant in mutants])
    left = [mutant for mutants in results.values() for mutant in mutants if mutant.survived]
    kinds = Counter(kind for mutant in left if (kind := explanation_of_kind(mutant)))
    yield from ("", "## Kinds of survivors", "", "| why they may survive | mutants |", "|---|---|")
    yield from (f"| {kind} | {count} |" for kind, count in kinds.most_common())
    yield from ("", "## Other survivors", "", "| where | change | why it may survive |", "|---|---|---|")
    for mutant in left:
        if not explanation_of_kind(mutant):
            change = f"`{mutant.before}` -> `{mutant.after}`".replace("|", "\\|")
            yield f"| `{mutant.module}` {mutant.function} | {change} | {explanation(mutant) or '**not explained**'} |"


def _row(name: str, mutants: list[Mutant]) -> str:
    left = [mutant for mutant in mutants if mutant.survived]
    told = sum(bool(explanation(mutant)) for mutant in left)
    return f"| {name} | {len(mutants)} | {len(mutants) - len(left)} | {told} | {len(left) - told} |"


def _path(module: str) -> Path:
    return RESULTS / f"{module.replace('/', '.')}.json"
