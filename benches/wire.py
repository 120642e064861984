"""dimsefast beside DCMTK, Orthanc, pynetdicom and the floor, in one run: `make bench`.

python benches/wire.py --list
python benches/wire.py --quick --only 'senders-*' --only pair

The floor, in `benches/floor`, is the least that a correct peer does: what could be reached at best.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import report
from cases import CASES
from measure import run_case
from objects import QUICK, Sizes, setting

FLOOR = Path(__file__).parent / "floor" / "target" / "release" / "floor"
RESULTS = Path(__file__).parent / "results"


def arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each cell is measured (default: 3)")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="only this case; may be a pattern, and repeated"
    )
    parser.add_argument("--quick", action="store_true", help="little of everything: to see that it works")
    parser.add_argument("--list", action="store_true", help="list the cases")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the results (default: %(default)s)")
    parser.add_argument("--floor", type=Path, default=FLOOR, help="the floor's program (default: %(default)s)")
    return parser.parse_args()


def tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)


def main() -> int:
    given = arguments()
    chosen = [case for case in CASES if not given.only or any(fnmatch(case.name, name) for name in given.only)]
    if given.list:
        for case in chosen:
            print(f"{case.name:16} {case.what}: {', '.join(cell.name for cell in (case.own, *case.peers))}")
        return 0
    if not chosen:
        raise SystemExit(f"no case is named {' or '.join(given.only)}: see --list")
    if not given.floor.exists():
        raise SystemExit(f"{given.floor} does not exist: make bench builds it")
    # Thousands of idle associations need as many descriptors; what is started here inherits the limit.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # What is running is stopped, and the files removed, on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with setting(given.floor, QUICK if given.quick else Sizes()) as found:
        results = [run_case(case, found, given.rounds, tell) for case in chosen]
        tell("")
        print(report.table(results))
        print(report.write(results, given.rounds, found, given.results))
    # Of peers that fail the table tells: some do not stand what they are asked.
    return int(any(result.cells[0].problem.startswith("failed") for result in results))


if __name__ == "__main__":
    sys.exit(main())
