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
    import pytest

    own = [str(ROOT / "drill_tests"), f"--rootdir={ROOT}", f"--config-file={ROOT / 'pyproject.toml'}"]
    return int(pytest.main([*own, *arguments]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
