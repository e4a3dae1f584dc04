"""One line more in a journal, in a process of its own."""

import sys
from pathlib import Path

from drill.journal.entry import journal_entry
from drill.journal.log import append
from drill.journal.rescue import adopt_rescued, append_or_rescue
from drill.journal.schema import schema_errors
from tests.evidence.records import green
from tests.reliability.markers import section

# What is loaded only when it is used is loaded here, to be no part of the section that is swept.
assert not schema_errors(journal_entry(green()))


def main() -> int:
    """Run ``child_append JOURNAL DRILL_ID append|rescue|adopt``; to adopt, the id is of no use."""
    journal, drill_id, way = sys.argv[1:]
    entry = journal_entry(green(drill_id))
    try:
        with section():
            if way == "adopt":
                adopt_rescued(Path(journal))
                return 0
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
