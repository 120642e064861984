"""Running the suite: one process a file, in a network of its own where the system allows it.

`python tests/dropin/run.py` runs all of it and prints a table; with beginnings of names, those.
"""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from suite import HERE, TestFile, copy_to, installed

#: Seconds that a file may take, and one of its tests.
FILE_LIMIT, TEST_LIMIT = 600, 60
#: Beginnings of the names of files that run one after the other. Most of their time is sleep.
LANES = ("apps/tests/test_qrscp", "apps/", "tests/test_assoc", "")
_DIFFERENCES = tomllib.loads((HERE / "expected.toml").read_text())
#: Tests that fail on purpose, with the reason.
EXPECTED: dict[str, str] = {test: reason for reason, tests in _DIFFERENCES["fail"].items() for test in tests}
#: Tests that race with the machine: either outcome counts as expected.
EITHER: dict[str, str] = {test: reason for reason, tests in _DIFFERENCES["either"].items() for test in tests}


def is_expected(test: str) -> bool:
    """Whether the test may fail."""
    return test in EXPECTED or any(fnmatch.fnmatchcase(test, pattern) for pattern in EITHER)


@dataclass
class Result:
    """What came of one file."""

    file: TestFile
    passed: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    #: Why it did not come to its end.
    broken: str = ""
    seconds: float = 0.0

    @property
    def surprises(self) -> list[str]:
        """Failures that nobody expects, and expected ones that did not come."""
        mine = {test for test in EXPECTED if test.startswith(f"{self.file.name}::")}
        rows = [f"{test}: {words}" for test, words in sorted(self.failed.items()) if not is_expected(test)]
        rows += [f"{test}: passes, though expected to fail" for test in sorted(mine & self.passed)]
        rows += [
            f"{test}: expected to fail, does not exist" for test in sorted(mine - self.passed - self.failed.keys())
        ]
        return rows + ([f"{self.file.name}: {self.broken}"] if self.broken else [])


@cache
def _network_of_its_own() -> list[str]:
    """The beginning of a command that runs in a network namespace; nothing where that is not possible."""
    command = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        works = subprocess.run([*command, "true"], capture_output=True, timeout=10, check=False).returncode == 0
    except OSError:
        return []
    return command if works else []


def run_file(folder: Path, file: TestFile) -> Result:
    """Runs the tests of one file that count."""
    results = folder / f"{Path(file.name).stem}.jsonl"
    results.unlink(missing_ok=True)
    environment = dict(
        os.environ,
        DROPIN_EXCLUDED=json.dumps(sorted(file.excluded)),
        DROPIN_RESULTS=str(results),
        PYTHONPATH=os.pathsep.join([str(HERE), str(folder.parent)]),
        PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "dropin_names", "-p", "pytest_timeout"]
    command += ["-p", "no:cacheprovider", "-W", "ignore", f"--timeout={TEST_LIMIT}", "--rootdir", str(folder)]
    command += ["-c", os.devnull, "--tb=short", file.name]
    result = Result(file)
    begun = time.monotonic()
    try:
        done = subprocess.run(
            [*_network_of_its_own(), *command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=FILE_LIMIT,
            check=False,
        )
        (folder / f"{Path(file.name).stem}.log").write_text(done.stdout + done.stderr)
        if done.returncode not in (0, 1, 5):
            result.broken = (done.stdout + done.stderr)[-2000:]
    except subprocess.TimeoutExpired:
        result.broken = f"not done in {FILE_LIMIT} s"
    result.seconds = time.monotonic() - begun
    if results.exists():
        _read(results, result)
    return result


def run_files(folder: Path, files: list[TestFile], report: Callable[[Result], None]) -> list[Result]:
    """Runs files; several at once where each has a network of its own, as the suite's ports are fixed."""
    lanes: dict[str, list[TestFile]] = {}
    for file in files:
        lane = next(lane for lane in LANES if file.name.startswith(lane)) if _network_of_its_own() else ""
        lanes.setdefault(lane, []).append(file)
    done: dict[str, Result] = {}

    def work(lane: list[TestFile]) -> None:
        for file in lane:
            done[file.name] = run_file(folder, file)
            report(done[file.name])

    with ThreadPoolExecutor(len(LANES)) as pool:
        list(pool.map(work, lanes.values()))
    for first in [result for result in done.values() if result.surprises]:
        # The suite sleeps and looks: on a busy machine, now and then too early. What surprises twice counts.
        done[first.file.name] = _of_both(first, run_file(folder, first.file))
        report(done[first.file.name])
    return [done[file.name] for file in files]


def _of_both(first: Result, second: Result) -> Result:
    """What two runs of a file gave: a test has failed that did so twice, or was expected to and did."""
    failed = {
        test: words
        for test, words in {**first.failed, **second.failed}.items()
        if test in EXPECTED or (test in first.failed and test in second.failed)
    }
    return Result(
        first.file,
        (first.passed | second.passed) - failed.keys(),
        first.skipped | second.skipped,
        failed,
        first.broken and second.broken,
        first.seconds + second.seconds,
    )


def _read(results: Path, result: Result) -> None:
    for line in results.read_text().splitlines():
        test, outcome, words = json.loads(line)
        if outcome == "failed":
            result.failed[test] = words
        else:
            (result.skipped if outcome == "skipped" else result.passed).add(test)
    result.passed -= result.failed.keys()


def table(results: list[Result]) -> str:
    """A line for each file, and one for all."""
    lines = [f"{'file':44}{'run':>6}{'pass':>6}{'fail':>6}{'of them expected':>18}{'left out':>10}{'seconds':>9}"]
    ran = passed = 0
    for result in results:
        count = len(result.passed) + len(result.failed)
        ran, passed = ran + count, passed + len(result.passed)
        expected = sum(map(is_expected, result.failed))
        lines.append(
            f"{result.file.name:44}{count:6}{len(result.passed):6}{len(result.failed):6}{expected:18}"
            f"{len(result.file.excluded):10}{result.seconds:9.0f}"
        )
    lines.append(f"{passed} of {ran} pass: {100 * passed / max(1, ran):.1f} %")
    return "\n".join(lines)


def _report(result: Result) -> None:
    print(f"{result.file.name}: {len(result.passed)} pass, {len(result.failed)} fail", flush=True)


def main(names: list[str]) -> int:
    """Runs the files whose names begin so, all where there are none; 1 where anything was not as expected."""
    source = installed()
    if source is None:
        print("pynetdicom is not installed with its tests: make peers", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as place:
        folder = Path(os.environ.get("DROPIN_FOLDER", place)) / "suite"
        files = [
            file for file in copy_to(folder, source) if not names or any(file.name.startswith(name) for name in names)
        ]
        results = run_files(folder, files, _report)
    print(table(results))
    surprises = [row for result in results for row in result.surprises]
    print("\n".join(surprises))
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
