"""What the operator waits for until the flags are on disk is kept short by loading little."""

import os
import subprocess
import sys
from pathlib import Path

from bench.desk import FLAGS_OFF, black_hole, make_desk
from bench.environ import ROOT

HEAVY = {
    *("httpx", "httpcore", "anyio", "ssl", "asyncio", "http.client", "concurrent.futures.thread"),
    *("numpy", "faiss", "duckdb", "psycopg", "pyarrow", "ijson", "pgvector"),
    *("prometheus_client", "prometheus_api_client", "requests", "pandas", "statistics"),
    *("jinja2", "pytest_html", "pytest_metadata", "jsonschema"),
    *("drill.transport", "drill.probe", "drill.purge", "drill.leaks", "drill.report.render"),
}


def test_no_heavy_module_is_loaded_before_the_flags_are_on_disk(tmp_path: Path) -> None:
    seen = tmp_path / "modules"
    with black_hole() as port:
        desk = make_desk(tmp_path, port)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.bench.loaded", "drill_tests"]
        done = subprocess.run(
            [*command, *desk.drill_options(), "--apply"],
            cwd=ROOT,
            env={**os.environ, "LOADED_MODULES": str(seen), "BENCH_DSN": "postgresql://bench@127.0.0.1/bench"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert seen.exists(), done.stdout + done.stderr
    loaded = set(seen.read_text().split())
    assert "drill.envfile.replace" in loaded, "the flags were not written, so this run shows nothing"
    assert set(FLAGS_OFF) <= set(desk.env_file.read_bytes().splitlines())
    assert sorted(loaded & HEAVY) == []
