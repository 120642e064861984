"""Runs the Python tests in four processes at once: most of their time is waiting for peers and time-outs.

python tools/run_tests.py    # all of them, as `make test` does
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"

#: Folders that go together. Interoperability is counted, so it is one process; the last part is whatever is left.
PARTS = (("interop", "docs"), ("archive", "cli"), ("conformance", "faults"))


def parts() -> list[list[str]]:
    """The paths that each process runs."""
    named = {name for part in PARTS for name in part}
    rest = sorted(
        path.name
        for path in TESTS.iterdir()
        if path.name not in named
        and (path.name.startswith("test_") if path.is_file() else any(path.rglob("test_*.py")))
    )
    return [[f"tests/{name}" for name in part] for part in (*PARTS, rest)]


def main() -> int:
    """Runs them, prints what each has said when it is done; 1 where any failed."""
    running = []
    for paths in parts():
        output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it is read when the process is over
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths]
        running.append((paths, output, subprocess.Popen(command, cwd=TESTS.parent, stdout=output, stderr=output)))
    failed = 0
    try:
        for paths, output, process in running:
            failed |= process.wait() != 0
            output.seek(0)
            print(f"== {' '.join(paths)}\n{output.read()}", flush=True)
    finally:
        for _, _, process in running:
            process.terminate()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
