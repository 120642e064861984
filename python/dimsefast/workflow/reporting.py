"""Sending N-EVENT-REPORTs to peers that may have gone: over the association that is there, or over a new one."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pydicom.dataset import Dataset

from ..ae import AE, Entity
from ..association import Association
from ..association_base import AssociationBase
from ..errors import DimsefastError
from ..presentation import build_context, build_role
from ..status import STATUS_SUCCESS, STATUS_WARNING, code_to_category
from .service import peer_of

if TYPE_CHECKING:
    from ..aio.waiting import LoopWaiting

LOGGER = logging.getLogger("dimsefast.workflow")

#: Where a peer listens: (host, port), or (host, port, keywords of `AE.connect`).
Address = tuple[str, int] | tuple[str, int, dict[str, Any]]
#: Where peers listen, by AE title.
Addresses = Mapping[str, Address] | Callable[[str], Address | None]
#: What an AE that reports has of the one that served.
_SETTINGS = (
    "acse_timeout",
    "dimse_timeout",
    "network_timeout",
    "network_timeout_response",
    "connection_timeout",
    "maximum_pdu_size",
    "implementation_class_uid",
    "implementation_version_name",
)
#: Seconds before each further attempt.
RETRY_AFTER = (5.0, 30.0, 120.0)
#: How often a peer may refuse one report: those behind it wait meanwhile.
MOST_REFUSALS = 1 + len(RETRY_AFTER)
#: Reports to one peer that may wait: a peer that causes them and never takes them must not make us keep them.
MOST_WAITING = 1000
#: Seconds that `close` waits for reports that are on their way.
CLOSE_LIMIT = 5.0


class Report(NamedTuple):
    """An N-EVENT-REPORT: of which instance, what happened, and the abstract syntax that it is negotiated under."""

    sop_class: str
    sop_instance: str
    event_type: int
    information: Dataset | None
    abstract_syntax: str


@dataclass
class _Task:
    ae: AE
    make: Callable[[], Report]
    association: AssociationBase | None
    done: Callable[[bool], object] | None
    report: Report | None = None
    #: How long to wait before each attempt that is left after this one.
    delays: deque[float] = field(default_factory=deque)
    #: When no further attempt is begun, on the monotonic clock.
    until: float = math.inf
    refusals: int = 0

    def delay(self) -> float | None:
        """Seconds before a further attempt; None where there is none."""
        if not self.delays or self.refusals >= MOST_REFUSALS or time.monotonic() + self.delays[0] > self.until:
            return None
        return self.delays.popleft()


class Reporter:
    """Sends reports, those to one peer in order, from a thread for each peer that has any to come.

    Args:
        addresses: where a peer takes reports that cannot go over its own association, by AE title: a mapping or a
            function. Default: none.
        retry_after: seconds before each further attempt over a new association.
    """

    def __init__(self, addresses: Addresses | None = None, retry_after: Sequence[float] = RETRY_AFTER) -> None:
        self._addresses = addresses
        self._retry_after = tuple(retry_after)
        self._lanes: dict[str, deque[_Task]] = {}
        self._threads: set[threading.Thread] = set()
        self._open: set[Association] = set()
        self._closed = False
        self._changed = threading.Condition()

    def address(self, title: str) -> Address | None:
        """Where a peer listens; None where nobody knows, or where it cannot be found out."""
        if not callable(self._addresses):
            return None if self._addresses is None else self._addresses.get(title)
        try:
            return self._addresses(title)
        except Exception:
            LOGGER.exception("the address of %s cannot be found out", title)
            return None

    def is_full(self, title: str) -> bool:
        """Whether so many reports to a peer wait that no more are taken."""
        with self._changed:
            return len(self._lanes.get(title, ())) >= MOST_WAITING

    def send(
        self,
        source: AssociationBase | Entity,
        title: str,
        make: Callable[[], Report],
        same_association: bool = False,
        done: Callable[[bool], object] | None = None,
        patience: float = math.inf,
    ) -> None:
        """Has a report sent; returns at once. Where too many wait it is given up, which is logged.

        Args:
            source: the association, accepted by this side, whose request led to the report, or the AE that reports.
            title: AE title of the peer.
            make: makes the report, on the thread that sends it.
            same_association: whether an association is used itself while it lasts.
            done: told whether the peer took the report, once that is certain: not where `close` came first.
            patience: seconds after which no further attempt is begun.
        """
        association = source if same_association and isinstance(source, AssociationBase) else None
        until = time.monotonic() + patience
        task = _Task(_caller(source), make, association, done, delays=deque(self._retry_after), until=until)
        if not self._enqueue(title, task) and done is not None:
            done(False)

    def _enqueue(self, title: str, task: _Task) -> bool:
        """Whether there was room for it."""
        with self._changed:
            if self._closed:
                return True
            lane = self._lanes.get(title)
            if lane is not None:
                if len(lane) < MOST_WAITING:
                    lane.append(task)
                    return True
                LOGGER.error("%d reports to %s wait: another one is given up", len(lane), title)
                return False
            self._lanes[title] = deque([task])
            thread = threading.Thread(target=self._run, args=(title,), name=f"dimsefast-reports-{title}", daemon=True)
            self._threads.add(thread)
            thread.start()
            return True

    def close(self) -> None:
        """Sends nothing any more; what is on its way is aborted."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            threads, associations = list(self._threads), list(self._open)
        for association in associations:
            association.abort()
        deadline = time.monotonic() + CLOSE_LIMIT
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, title: str) -> None:
        while True:
            with self._changed:
                lane = self._lanes[title]
                if self._closed or not lane:
                    del self._lanes[title]
                    self._threads.discard(threading.current_thread())
                    return
                task = lane[0]
            taken = self._attempt(title, task)
            if not taken and self.address(title) is not None and (delay := task.delay()) is not None:
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, delay)
                continue
            if not taken and self._closed:
                # That may be why.
                continue
            if not taken:
                LOGGER.error("a report to %s could not be delivered and is given up: %s", title, task.report)
            with self._changed:
                lane.popleft()
            if task.done is not None:
                task.done(taken)

    def _attempt(self, title: str, task: _Task) -> bool:
        """Whether the peer took it."""
        try:
            if task.report is None:
                task.report = task.make()
            association, task.association = task.association, None
            if association is not None and self._taken(association, task):
                return True
            address = self.address(title)
            if address is None:
                return False
            syntax = task.report.abstract_syntax
            host, port, *rest = address
            options = {"ae_title": title, **(rest[0] if rest else {})}
            # PS3.7 D.3.3.4: who opens the association is the SCP here.
            options |= {"contexts": [build_context(syntax)], "ext_neg": [build_role(syntax, scp_role=True)]}
            opened = task.ae.connect(host, port, **options)
        except (DimsefastError, OSError) as error:
            LOGGER.warning("a report to %s: %s", title, error)
            return False
        except Exception:
            # What was given (an address, keywords, an AE title of the peer's) is not as it should be.
            LOGGER.exception("a report to %s cannot be sent", title)
            return False
        with opened:
            with self._changed:
                if self._closed:
                    return False
                self._open.add(opened)
            try:
                return self._taken(opened, task)
            finally:
                with self._changed:
                    self._open.discard(opened)

    @staticmethod
    def _taken(association: AssociationBase, task: _Task) -> bool:
        sop_class, sop_instance, event_type, information, syntax = cast(Report, task.report)
        meta = None if syntax == sop_class else syntax
        try:
            reporting = cast(Association, association)
            answer: Any = reporting.send_n_event_report(information, event_type, sop_class, sop_instance, meta_uid=meta)
            if inspect.iscoroutine(answer):
                # Served by `dimsefast.aio`: the association belongs to its loop.
                loop = cast("LoopWaiting", association._waiting).loop
                answer = asyncio.run_coroutine_threadsafe(answer, loop).result()
            status, _ = answer
        except (RuntimeError, ValueError) as error:
            LOGGER.info("a report cannot go over the association with %s: %s", peer_of(association), error)
            return False
        code = status.get("Status")
        if code is None or code_to_category(code) not in (STATUS_SUCCESS, STATUS_WARNING):
            task.refusals += code is not None
            words = "no answer" if code is None else f"{code:04X}H {status.get('ErrorComment', '')}"
            LOGGER.warning("%s did not take a report: %s", peer_of(association), words)
            return False
        return True


def _caller(source: AssociationBase | Entity) -> AE:
    """Who opens an association to report: the AE that served, under the same title (PS3.4 J.3.3.1.2)."""
    if isinstance(source, AssociationBase):
        caller, entity = AE(source.acceptor.ae_title), source.ae
    else:
        caller, entity = AE(source.ae_title), source
    for name in _SETTINGS:
        setattr(caller, name, getattr(entity, name))
    return caller
