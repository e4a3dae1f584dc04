"""The report of a drill: the record as a page that a postmortem can stand on."""
