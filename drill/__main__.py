"""``python -m drill``: look at past drills, and purge what was deferred."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from drill.errors import UsageError
from drill.journal.log import JOURNAL_FILE, journal_path
from drill.plain_file import NotPlain
from drill.printable import printable, show
from drill.purge.command import add_purge
from drill.secret import keep_no_keys
from drill.verdict import EXIT_USAGE
from drill.words import count

DEFAULT_JOURNAL = Path("artifacts", JOURNAL_FILE)


class _Parser(argparse.ArgumentParser):
    """Wrong usage is exit code 4 here as everywhere in the drill."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: error: {printable(message)}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 all is well, 1 it is not, 4 wrong usage or no such file.

    A purge has the exit codes of a drill.
    """
    keep_no_keys()
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        reason = error.strerror or type(error).__name__
        show(f"cannot read {error.filename}: {reason}; give an existing file", sys.stderr)
        return EXIT_USAGE
    except UsageError as error:
        show(error, sys.stderr)
        return EXIT_USAGE


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m drill", description="Look at past drills; purge what one has deferred.")
    topics = parser.add_subparsers(required=True, metavar="TOPIC")
    _add_journal(topics.add_parser("journal", help="the log with one line per drill"))
    _add_history(topics.add_parser("history", help="build the page of all drills, reports/index.html"))
    add_purge(topics.add_parser("purge", help="step 2 on its own: plan, run, undo, status"))
    return parser


def _add_journal(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    checker = actions.add_parser("verify", help="check that no line was changed, added or taken out of the middle")
    checker.add_argument("--schema", action="store_true", help="also check every entry against the JSON Schema (slow)")
    checker.set_defaults(command=_verify)
    shower = actions.add_parser("show", help="the last drills as a table")
    shower.add_argument("--last", type=int, default=20, metavar="N", help="how many (default 20)")
    shower.add_argument("--json", action="store_true", help="the lines as they are")
    shower.set_defaults(command=_show)
    enterer = actions.add_parser("enter", help="enter a rescued line that you have looked at")
    enterer.add_argument("file", type=Path, metavar="FILE")
    enterer.set_defaults(command=_enter)
    for action in (checker, shower, enterer):
        action.add_argument("--path", type=Path, default=DEFAULT_JOURNAL, help=f"default {DEFAULT_JOURNAL}")


def _add_history(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--artifacts-dir", type=Path, default=DEFAULT_JOURNAL.parent, help="default artifacts")
    parser.add_argument("--reports-dir", type=Path, default=Path("reports"), help="default reports")
    parser.add_argument("--drill-config", type=Path, help="default drill.toml, if there is one here")
    parser.set_defaults(command=_history)


def _history(arguments: argparse.Namespace) -> int:
    """Build the page; what it warns of is printed and gives exit code 1, so that a timer can watch it."""
    from drill.config_load import find_config, load_config
    from drill.history.write import build, warnings

    here = Path(".env")
    config = load_config(find_config(arguments.drill_config, here, Path.cwd()), here, {}, os.environ)
    page, history = build(journal_path(arguments.artifacts_dir), arguments.reports_dir, config.history.max_age_days)
    found = warnings(history, config.history.max_age_days)
    show(f"{page}: {count(history.total, 'drill')} of {count(len(history.envs), 'env file')}")
    for line in found:
        show(line)
    return 1 if found else 0


def _verify(arguments: argparse.Namespace) -> int:
    from drill.journal.verify import verify

    result = verify(arguments.path, schema=arguments.schema)
    show(result.summary())
    for violation in result.invalid:
        show(violation)
    return 0 if result.ok else 1


def _enter(arguments: argparse.Namespace) -> int:
    """Enter a line on the word of who looked at it; whose file it is is asked all the same."""
    from drill.foreign import ForeignError
    from drill.journal.log import has_line
    from drill.journal.rescue import enter, read_rescued

    file, journal = arguments.file, arguments.path
    try:
        entry = read_rescued(file)
    except NotPlain as problem:
        raise UsageError(f"{file.name}: {problem.strerror}") from None
    except ForeignError as problem:
        raise UsageError(f"{file.name}: {problem}, expected a rescued line; nothing was entered") from None
    if journal.exists() and has_line(journal, str(entry["drill_id"])):
        raise UsageError(f"{file.name}: {journal.name} has a line of this drill already; nothing was entered")
    enter(journal, [(file, entry)])
    show(f"{entry['drill_id']} is in {journal}; {file.name} was removed")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from drill.journal.show import last_lines, table

    lines = last_lines(arguments.path, arguments.last)
    for line in lines if arguments.json else table(lines):
        show(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
