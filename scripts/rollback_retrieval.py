"""The runbook's original command line: a thin door to the same suite.

``python scripts/rollback_retrieval.py --env-file F (--dry-run|--apply) --operator O --reason R`` runs ``drill_tests``
and returns its exit code. Everything else is passed on.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    """Run the suite with ``arguments``; paths in them stay relative to the caller's directory."""
    if not {"--apply", "--dry-run"} & set(arguments):
        print("rollback_retrieval.py: say --dry-run or --apply", file=sys.stderr)
        return 4
    own = [str(ROOT / "drill_tests"), f"--rootdir={ROOT}", f"--config-file={ROOT / 'pyproject.toml'}"]
    try:
        import pytest

        return int(pytest.main([*own, *arguments]))
    except Exception as error:  # noqa: BLE001 - Python would exit with 1, which says that something was measured and is bad
        print(f"rollback_retrieval.py: pytest could not be started ({type(error).__name__}: {error})", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
