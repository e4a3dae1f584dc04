"""One line more in a journal, in a process of its own."""

import sys
from pathlib import Path

from drill.journal.entry import journal_entry
from drill.journal.log import append
from drill.journal.rescue import append_or_rescue
from tests.evidence.records import green
from tests.reliability.markers import section


def main() -> int:
    """Run ``child_append JOURNAL DRILL_ID append|rescue``."""
    journal, drill_id, way = sys.argv[1:]
    entry = journal_entry(green(drill_id))
    try:
        with section():
            if way == "append":
                append(Path(journal), entry)
                return 0
            appended = append_or_rescue(Path(journal), entry)
    except OSError as error:
        print(f"the journal could not be written ({error.strerror})", file=sys.stderr)
        return 1
    if appended.problem:
        print(appended.problem)
    return 0


if __name__ == "__main__":
    sys.exit(main())
