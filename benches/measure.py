"""Rounds of a case, and what they say."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from cases import DCMTK_PAIR, FLOOR_PAIR, Case, Cell
from cells import Outcome
from objects import Setting
from process import Failed, Unavailable

#: How much faster than DCMTK the floor must be to be taken for the limit.
FLOOR_FACTOR = 1.5


@dataclass
class Measured:
    """A cell and what each round gave; None for a round in which it failed."""

    cell: Cell
    rounds: list[Outcome | None] = field(default_factory=list)
    #: Why it was left out, or what it failed with last.
    problem: str = ""

    @property
    def values(self) -> list[float]:
        """Of the rounds that succeeded."""
        return [outcome.value for outcome in self.rounds if outcome is not None]

    @property
    def median(self) -> float:
        """Of the values; there must be some."""
        return statistics.median(self.values)

    @property
    def figures(self) -> dict[str, float]:
        """Medians of the further figures."""
        given = [outcome.figures for outcome in self.rounds if outcome is not None]
        return {name: statistics.median(figures[name] for figures in given) for name in (given[0] if given else {})}


@dataclass
class Result:
    """A case that was measured: its own cell first."""

    case: Case
    cells: list[Measured]

    def ratios(self, peer: Measured) -> list[float]:
        """dimsefast to a peer, in each round that has both."""
        pairs = zip(self.cells[0].rounds, peer.rounds, strict=True)
        return [own.value / other.value for own, other in pairs if own is not None and other is not None]


def _attempt(measured: Measured, setting: Setting) -> Outcome | None:
    # Twice: pynetdicom now and then loses a response, and a free port may be taken by another.
    for last in (False, True):
        try:
            return measured.cell.measure(setting)
        except Failed as problem:
            if last:
                measured.problem = f"failed: {problem}"
    return None


def run_case(case: Case, setting: Setting, rounds: int, tell: Callable[[str], None]) -> Result:
    """Measures each cell once a round, one after the other, each round beginning with the next."""
    rounds *= case.repeat
    result = Result(case, [Measured(cell) for cell in (case.own, *case.peers)])
    available = list(result.cells)
    for number in range(rounds):
        first = number % len(result.cells)
        for measured in result.cells[first:] + result.cells[:first]:
            if measured not in available:
                continue
            tell(f"{case.name}, round {number + 1} of {rounds}: {measured.cell.name}")
            try:
                measured.rounds.append(_attempt(measured, setting))
            except Unavailable as reason:
                measured.problem = f"left out: {reason}"
                available.remove(measured)
    for measured in result.cells:
        measured.rounds += [None] * (rounds - len(measured.rounds))
    return result


def floor_to_dcmtk(results: list[Result]) -> float | None:
    """How much faster than DCMTK's pair the floor's pair is, storing CT images; None where that was not measured."""
    for result in results:
        cells = {measured.cell.name: measured for measured in result.cells}
        if result.case.name == "pair" and FLOOR_PAIR in cells and DCMTK_PAIR in cells:
            both = zip(cells[FLOOR_PAIR].rounds, cells[DCMTK_PAIR].rounds, strict=True)
            ratios = [floor.value / dcmtk.value for floor, dcmtk in both if floor is not None and dcmtk is not None]
            return statistics.median(ratios) if ratios else None
    return None


def floor_counts(results: list[Result]) -> bool:
    """Whether the floor may stand for the limit in this run.

    Where it is not clearly faster than a program that does more, something else was the limit: the machine, most often.
    """
    factor = floor_to_dcmtk(results)
    return factor is not None and factor >= FLOOR_FACTOR


def ratio(result: Result, peer: Measured, floor_is_limit: bool) -> float | None:
    """The median of the rounds' ratios; None where there is none, or the peer is a floor that does not count."""
    ratios = result.ratios(peer)
    if not ratios or (peer.cell.is_floor and not floor_is_limit):
        return None
    return statistics.median(ratios)
