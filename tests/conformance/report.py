"""The results of a run as text."""

from __future__ import annotations

from collections.abc import Iterable

from .runner import Result


def _verdict(result: Result) -> str:
    if result.skipped:
        return f"not run ({result.skipped})"
    if result.passed:
        return result.outcome
    return f"**{result.outcome}**" if result.serves else f"**{result.outcome}; does not serve afterwards**"


def plain(results: Iterable[Result]) -> str:
    """A line for each case."""
    lines = []
    for result in results:
        mark = "-" if result.skipped else "ok" if result.passed else "NOT"
        detail = f"{_verdict(result).replace('**', '')}"
        lines.append(f"{mark:4}{result.case.id:70} {detail}")
    return "\n".join(lines)


def counts(results: list[Result]) -> tuple[int, int, int]:
    """Passed, outside the set, not run."""
    passed = sum(result.passed for result in results)
    skipped = sum(bool(result.skipped) for result in results)
    return passed, len(results) - passed - skipped, skipped


def markdown(peers: dict[str, list[Result]]) -> str:
    """A table of all peers: their counts, and then every case."""
    names = list(peers)
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for row, label in enumerate(("within the set", "outside the set", "not run")):
        lines.append(f"| {label} | " + " | ".join(str(counts(peers[name])[row]) for name in names) + " |")
    lines += ["", "| Case | Clause | Acceptable | " + " | ".join(names) + " |", "|---" * (len(names) + 3) + "|"]
    for row in zip(*peers.values(), strict=True):
        case = row[0].case
        acceptable = ", ".join(f"`{outcome}`" for outcome in case.outcomes)
        cells = [
            "·" if result.passed and len(case.outcomes) == 1 and "*" not in case.outcomes[0] else _verdict(result)
            for result in row
        ]
        lines.append(f"| {case.id} | {case.clause} | {acceptable} | " + " | ".join(cells) + " |")
    return "\n".join(lines).replace("\\", "\\\\") + "\n"


HEAD = """# Conformance: what acceptors answer

Raw bytes to each acceptor, each case with the clause of the standard and the set of outcomes that it allows. `make
conformance` writes this page; the cases are in `tests/conformance/cases`. Outcomes on the wire: `ac` with the result
of each context, `rj` and `abort` with their fields, `rsp` with Command Field, status and Message ID. A dot is the one
acceptable outcome; **bold** is what is outside the set, as it came. An outcome outside the set is a difference to the
words of the standard, or to our reading of them, and not always one that matters.

"""


def document(peers: dict[str, list[Result]]) -> str:
    """The page of a run against several acceptors."""
    return HEAD + markdown(peers)
