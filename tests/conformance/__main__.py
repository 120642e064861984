"""`python -m tests.conformance --host H --port P --called AET`: every case against that acceptor, as a table."""

from __future__ import annotations

import argparse
import socket
import sys

from . import report, runner
from .cases import ACCEPTOR_TABLES, load


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--called", default="ANY-SCP", help="AE title of the acceptor")
    parser.add_argument("--calling", default="CONFORMANCE", help="AE title to use")
    parser.add_argument(
        "--destination-port", type=int, help="where it has its move destination DESTINATION: C-MOVE is tried with that"
    )
    parser.add_argument("--limit", type=float, default=10.0, help="seconds to wait for an answer")
    parser.add_argument("--table", action="append", choices=ACCEPTOR_TABLES, help="only this table; may be repeated")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    arguments = parser.parse_args()
    target = runner.Target(arguments.host, arguments.port, arguments.called, arguments.calling, arguments.limit)
    if arguments.destination_port is not None:
        target = target._replace(listener=socket.create_server(("", arguments.destination_port)))
    services = runner.offered(target)
    if "match" in services:
        runner.fill(target)
    cases = [case for table in arguments.table or ACCEPTOR_TABLES for case in load(table)]
    results = [runner.run(case, target, services) for case in cases]
    print(report.markdown({arguments.called: results}) if arguments.markdown else report.plain(results))
    passed, outside, skipped = report.counts(results)
    print(f"{passed} within the set, {outside} outside, {skipped} not run", file=sys.stderr)
    return 1 if outside else 0


if __name__ == "__main__":
    sys.exit(main())
