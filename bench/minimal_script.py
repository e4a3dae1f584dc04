"""The least that rewrites the three flags: a regular expression over the text of the file."""

import re
import sys
from pathlib import Path

PATTERN = re.compile(r"^(FF_RETRIEVAL_DUAL_WRITE|FF_RETRIEVAL_SHADOW_READ|RETRIEVAL_BACKEND)=.*$", re.MULTILINE)

path = Path(sys.argv[1])
path.write_text(PATTERN.sub(lambda m: f"{m[1]}={'faiss' if m[1] == 'RETRIEVAL_BACKEND' else 'OFF'}", path.read_text()))
