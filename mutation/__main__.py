"""``python -m mutation [MODULE ...]``: break the checks in every small way, and list what no test notices."""

import argparse
import sys
import tempfile
from pathlib import Path

from mutation.docs import keep, kept, write_docs
from mutation.explained import explanation
from mutation.run import Mutant, copy_tree, mutate
from mutation.targets import TARGETS


def main() -> int:
    """Return 0 if every mutant was noticed or is explained, else 1."""
    arguments = _arguments()
    unexplained = 0
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        tree = copy_tree(Path(folder))
        for module in [] if arguments.docs_only else arguments.modules or list(TARGETS):
            mutants = _again(tree, module) if arguments.again else mutate(tree, module)
            keep(module, mutants)
            unexplained += _say(module, mutants)
    if arguments.write_docs or arguments.docs_only:
        write_docs()
    if arguments.docs_only:
        return 0
    print(f"{unexplained} survive without a reason" if unexplained else "every mutant is noticed or explained")
    return 1 if unexplained else 0


def _again(tree: Path, module: str) -> list[Mutant]:
    """Try once more what survived last time without a reason; the rest is as it was."""
    last = kept(module)
    left = [mutant for mutant in last if mutant.survived and not explanation(mutant)]
    tried = mutate(tree, module, left) if left or not last else []
    found = {(mutant.operator, mutant.occurrence): mutant for mutant in (*last, *tried)}
    return list(found.values())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as drill/checks/slo.py; default: all")
    parser.add_argument(
        "--again", action="store_true", help="only what survived without a reason; the module must not have changed"
    )
    parser.add_argument("--write-docs", action="store_true", help="write docs/mutation.md afterwards")
    parser.add_argument("--docs-only", action="store_true", help="write it from the results that are there")
    return parser.parse_args()


def _say(module: str, mutants: list[Mutant]) -> int:
    survivors = [mutant for mutant in mutants if mutant.survived]
    unexplained = [mutant for mutant in survivors if not explanation(mutant)]
    print(f"{module}: {len(mutants)} mutants, {len(survivors)} survive, {len(unexplained)} unexplained", flush=True)
    for mutant in unexplained:
        print(f"  {mutant.key}", flush=True)
    return len(unexplained)


if __name__ == "__main__":
    sys.exit(main())
