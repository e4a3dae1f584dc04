"""What the drill replaces: a straightforward script that rewrites the three flags and logs one line."""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from dotenv import dotenv_values

FLAGS = {"FF_RETRIEVAL_DUAL_WRITE": "OFF", "FF_RETRIEVAL_SHADOW_READ": "OFF", "RETRIEVAL_BACKEND": "faiss"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--env-file", type=Path, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--operator", default="nobody")
    options = parser.parse_args()
    before = dotenv_values(options.env_file, interpolate=False)
    lines = options.env_file.read_text().splitlines()
    for number, line in enumerate(lines):
        key = line.partition("=")[0].strip()
        if key in FLAGS:
            lines[number] = f"{key}={FLAGS[key]}"
    options.env_file.write_text("\n".join(lines) + "\n")
    entry = {
        "timestamp": datetime.now(UTC).isoformat(),
        "operator": options.operator,
        "before": {key: before.get(key) for key in FLAGS},
        "result": "success",
    }
    with options.journal.open("a") as journal:
        journal.write(json.dumps(entry) + "\n")
    print("success")


if __name__ == "__main__":
    main()
