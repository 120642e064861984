"""A client of one DICOM node: echo, find, move, get and store in one call each."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from .. import evt, query
from ..ae import AE
from ..association import Association
from ..errors import AssociationAborted, ReceiverError, ServiceNotSupported, StatusError
from ..events import Event
from ..sop_class import Verification
from ..tls import TLS
from .links import Links, models
from .peer import Peer, parse_address
from .progress import progress_handler
from .receiver import Expected, Receiver
from .reports import Failure, Progress, ProgressHandler, RetrieveReport, StoreReport
from .retrieving import (
    Instance,
    contained,
    get_contexts,
    instances,
    next_message_id,
    retrieve_keys,
    take_status,
)
from .sources import Source, Storable, scan
from .storing import Storing, by_series

_PENDING = (0xFF00, 0xFF01)
_CANCELLED, _UNKNOWN_DESTINATION = 0xFE00, 0xA801
#: Objects that one C-GET asks for by UID.
_UIDS_A_REQUEST = 200


class Client:
    """A client of one node.

    It keeps associations open while they are used and opens them again when they were lost. It may be used from
    several threads at once: each operation has an association of its own for its time. Usable as a context manager
    that closes at its end.

    Args:
        peer: "AET@host:port" (IPv6 in brackets), or a `Peer`.
        ae_title: our own AE title.
        listen: "host:port" where objects of a move with `receive` arrive; the peer must know it under our AE title.
        timeout: seconds to wait for a connection, an answer to an association request, and each response.
        arrival_timeout: seconds to wait for the next object of a move after its final response.
        retries: how often what is safe to retry is tried again when the association was lost: echo, find before the
            first response, store of objects that were not answered.
        max_pdu: maximum length of a P-DATA PDU that is received, in bytes; default that of `AE`.
        tls: speak TLS with the peer, in both directions: what arrives at `listen` has to come by it, too.

    Raises ValueError for a peer, AE title or address that is none. Operations raise `AssociationError` of one kind or
    another where no association comes about, `ServiceNotSupported` among them, `StatusError` where the peer refuses.
    """

    def __init__(
        self,
        peer: str | Peer,
        ae_title: str = "DIMSEFAST",
        listen: str | None = None,
        *,
        timeout: float = 30,
        arrival_timeout: float = 10,
        retries: int = 1,
        max_pdu: int | None = None,
        tls: TLS | None = None,
    ) -> None:
        self.peer = Peer.parse(peer)
        self.ae = AE(ae_title)
        self.ae.connection_timeout = self.ae.acse_timeout = self.ae.dimse_timeout = timeout
        if max_pdu is not None:
            self.ae.maximum_pdu_size = max_pdu
        if listen is not None:
            parse_address(listen, "the address to listen at", "host:port")
        self.listen = listen
        self.arrival_timeout = arrival_timeout
        self.retries = retries
        self._max_pdu = max_pdu
        self._tls = tls
        self._links = Links(self.ae, self.peer, tls)

    @property
    def ae_title(self) -> str:
        """Our own AE title."""
        return self.ae.ae_title

    def close(self) -> None:
        """Releases its associations; operations that are running in other threads are aborted. May be called twice."""
        self._links.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self.ae_title} of {self.peer}>"

    # Echo and find
    # -----------------------------------------------------------------------------------------------------

    def echo(self) -> float:
        """Asks whether the peer answers; returns the seconds that the C-ECHO took, without the association.

        Raises StatusError for a status that is not success.
        """
        for attempt in itertools.count():
            try:
                return self._echo()
            except AssociationAborted:
                if attempt >= self.retries:
                    raise
                self._links.forget_idle()
        raise AssertionError("unreachable")

    def _echo(self) -> float:
        with self._links.borrow([str(Verification)]) as (association, _):
            started = time.monotonic()
            status = association.send_c_echo().get("Status")
            if status is None:
                raise self._lost(association, started)
            seconds = time.monotonic() - started
        if status != 0x0000:
            raise StatusError(str(self.peer), "C-ECHO", status)
        return seconds

    def find(self, identifier: Dataset, model: str | None = None) -> Generator[Dataset, None, None]:
        """Queries; yields what matches as it comes. Leaving the loop early cancels the query.

        `model` is "study", "patient", "worklist" or a SOP Class UID; default is what the identifier's level allows:
        Study Root, for PATIENT Patient Root, for `query.worklist()` Modality Worklist.

        Raises ValueError for an identifier without level; in the loop StatusError where the peer reports a failure.
        """
        return self._find(identifier, models(identifier, "Find", model))

    def _find(self, identifier: Dataset, candidates: Sequence[str]) -> Generator[Dataset, None, None]:
        for attempt in itertools.count():
            responses = self._responses(identifier, candidates)
            try:
                first = next(responses, None)
            except AssociationAborted:
                if attempt >= self.retries:
                    raise
                self._links.forget_idle()
                continue
            with contextlib.closing(responses):
                if first is not None:
                    yield first
                    yield from responses
            return

    def _responses(self, identifier: Dataset, candidates: Sequence[str]) -> Generator[Dataset, None, None]:
        """What one query yields over one association."""
        with self._links.borrow(candidates) as (association, model):
            sent = time.monotonic()
            with contextlib.closing(_closable(association.send_c_find(identifier, model))) as responses:
                for status, found in responses:
                    code = status.get("Status")
                    if code is None:
                        raise self._lost(association, sent)
                    if code == 0x0000:
                        return
                    if code not in _PENDING:
                        raise StatusError(str(self.peer), "C-FIND", code, str(status.get("ErrorComment") or ""))
                    if found is not None:
                        yield found
                    sent = time.monotonic()

    def _lost(self, association: Association, started: float) -> Exception:
        limit = self.ae.dimse_timeout
        return self._links.lost(association, limit is not None and time.monotonic() - started >= limit)

    # Store
    # -----------------------------------------------------------------------------------------------------

    def store(
        self,
        items: Storable | Iterable[Storable],
        progress: bool | ProgressHandler | None = None,
        skip_existing: bool = False,
        decompress: bool = False,
    ) -> StoreReport:
        """Stores objects: files, folders with all that is below them, DICOMDIRs, zip files, Datasets, encoded files.

        What is no DICOM object is skipped and listed in the report. The contexts are exactly the pairs of SOP class
        and transfer syntax that the objects have, over several associations where 128 are not enough; what the peer
        does not take as it is, it is offered in Explicit and Implicit VR where that loses nothing.

        Args:
            items: one of these or many.
            progress: True for a bar on a terminal, or a function that gets a `Progress`.
            skip_existing: leave out what the peer has already, which it is asked by C-FIND.
            decompress: whether compressed pixel data may be decoded where the peer does not take it as it is.

        Raises FileNotFoundError for a path that does not exist, AssociationError where no association comes about at
        all; everything else is in the report.
        """
        started = time.monotonic()
        report = StoreReport(peer=str(self.peer))
        found = scan(items)
        try:
            report.skipped = found.skipped
            if skip_existing and found.sources:
                there = self._existing(found.sources)
                report.existing = sum(source.sop_instance in there for source in found.sources)
                found.sources = [source for source in found.sources if source.sop_instance not in there]
            with progress_handler(progress, f"to {self.peer.ae_title}") as told:
                Storing(self._links, found, report, told, self.retries).run(decompress)
        finally:
            found.close()
        report.seconds = time.monotonic() - started
        return report

    def _existing(self, sources: list[Source]) -> set[str]:
        """The SOP Instance UIDs of these that the peer has."""
        there = set()
        for (study, series), members in by_series(sources).items():
            asked = query.image(["SOPInstanceUID"], study_instance_uid=study, series_instance_uid=series)
            held = {str(row.get("SOPInstanceUID") or "") for row in self.find(asked)}
            there |= held & {source.sop_instance for source in members}
        return there

    # Move
    # -----------------------------------------------------------------------------------------------------

    def move(
        self,
        identifier: Dataset,
        to: str | None = None,
        receive: str | Path | None = None,
        model: str | None = None,
        progress: bool | ProgressHandler | None = None,
    ) -> RetrieveReport:
        """Has the peer send what matches to an AE; with `receive` that is ours, and the objects go into a folder.

        With `receive` a C-STORE receiver runs at `listen` for the time of the move, or the one that is running there
        takes the objects: see `Receiver`. It returns when the final response is there and what the peer counted has
        arrived, or nothing more has for `arrival_timeout` seconds.

        Args:
            identifier: what to move; of it the unique keys are sent, so what `find` yielded will do.
            to: AE title of the destination; default our own.
            receive: the folder for the objects.
            model: as in `find`.
            progress: True for a bar on a terminal, or a function that gets a `Progress`.

        Raises ReceiverError where the receiver cannot listen, or where nothing arrived of what the peer counted as
        sent; StatusError where it refused the move as a whole; ValueError for `receive` without `listen`, or with
        another destination, and for an identifier that names nothing.
        """
        destination = (to or self.ae_title).strip()
        candidates = models(identifier, "Move", model)
        retrieve_keys(identifier, candidates[0])
        if receive is None:
            with progress_handler(progress, f"to {destination}") as told:
                return self._move(identifier, destination, candidates, told, None, next_message_id())
        if destination != self.ae_title.strip():
            raise ValueError(f"objects for {destination} do not come here, to {self.ae_title}: leave out `receive`")
        if self.listen is None:
            raise ValueError('a move with `receive` needs to know where to listen: Client(..., listen="0.0.0.0:11113")')
        receiver = Receiver.shared(self.ae_title, self.listen, Path(receive), self._max_pdu, self._tls)
        try:
            number = next_message_id()
            expected = receiver.expect(self.peer.ae_title, number, Path(receive))
            try:
                with progress_handler(progress, f"from {self.peer.ae_title}") as told:
                    return self._move(identifier, destination, candidates, told, (receiver, expected), number)
            finally:
                receiver.forget(expected)
        finally:
            receiver.close()

    def _move(
        self,
        identifier: Dataset,
        destination: str,
        candidates: Sequence[str],
        told: ProgressHandler | None,
        receiving: tuple[Receiver, Expected] | None,
        number: int,
    ) -> RetrieveReport:
        report = RetrieveReport(peer=str(self.peer), destination=destination)
        started = time.monotonic()
        with self._links.borrow(candidates) as (association, model):
            here = association.requestor.address
            last: Dataset | None = None
            sent = time.monotonic()
            keys = retrieve_keys(identifier, model)
            with contextlib.closing(
                _closable(association.send_c_move(keys, destination, model, msg_id=number))
            ) as responses:
                for status, failed in responses:
                    if status.get("Status") is None:
                        report.problem = str(self._lost(association, sent))
                        break
                    sent, last = time.monotonic(), status
                    take_status(report, status, failed)
                    if told is not None:
                        remaining = status.get("NumberOfRemainingSuboperations")
                        done = report.completed + report.failed
                        size = 0 if receiving is None else receiving[1].bytes
                        total = None if remaining is None and status.Status in _PENDING else done + int(remaining or 0)
                        told(Progress(done, total, size, None, report.failed))
        report.status = None if report.problem or last is None else int(last.Status)
        if last is not None and not report.problem:
            self._refused("C-MOVE", report, last, destination, receiving, here)
        if receiving is not None:
            self._arrival(report, last, receiving[0], receiving[1], here)
        report.seconds = time.monotonic() - started
        return report

    def _refused(
        self,
        operation: str,
        report: RetrieveReport,
        last: Dataset,
        destination: str,
        receiving: tuple[Receiver, Expected] | None,
        here: str | None,
    ) -> None:
        """Raises where the peer did not even begin."""
        status = int(last.Status)
        if status in (0x0000, _CANCELLED) or 0xB000 <= status <= 0xBFFF or report.completed or report.failed:
            return
        advice = ""
        if operation == "C-MOVE":
            where = "where it listens" if receiving is None else f"at {_place(receiving[0], here)}"
            # Some say no more than that they cannot where they do not know the destination.
            may = "" if status == _UNKNOWN_DESTINATION else "is the destination known? "
            advice = f"{may}{self.peer.ae_title} must know the AE {destination} {where}"
        raise StatusError(str(self.peer), operation, status, str(last.get("ErrorComment") or ""), advice)

    def _arrival(
        self, report: RetrieveReport, last: Dataset | None, receiver: Receiver, expected: Expected, here: str | None
    ) -> None:
        """Waits for what the peer counted as sent, and says what did not come."""
        counted = report.completed
        if last is not None and "NumberOfCompletedSuboperations" not in last and report.status == 0x0000:
            # It does not count: what came until nothing more does.
            expected.wait(expected.count, 0)
            counted = expected.count
        if not report.problem:
            expected.wait(counted, self.arrival_timeout)
        report.received, report.bytes, report.folder = expected.count, expected.bytes, expected.folder
        report.missing = max(0, counted - expected.count)
        must_know = f"the archive must know the AE {self.ae_title} at {_place(receiver, here)}"
        if report.status == 0x0000 and counted and not expected.count:
            raise ReceiverError(
                f"{self.peer} says that it sent {counted} objects to {self.ae_title}, but none arrived within "
                f"{self.arrival_timeout:g} s: {must_know}"
            )
        if report.failed and not expected.count and not report.problem:
            report.problem = f"nothing arrived here: {must_know}"

    # Get
    # -----------------------------------------------------------------------------------------------------

    def get(
        self,
        identifier: Dataset,
        into: str | Path,
        model: str | None = None,
        progress: bool | ProgressHandler | None = None,
        skip_existing: bool = False,
        classes: Iterable[str] | None = None,
    ) -> RetrieveReport:
        """Gets what matches over our own association into a folder, as `<SOP Instance UID>.dcm` each.

        All storage classes in all transfer syntaxes do not fit into one association. So the peer is asked by C-FIND,
        level by level, which classes it has there, and each gets a context for as many transfer syntaxes as fit. A
        peer that does not answer that is offered the usual classes, each with one context from which it chooses a
        transfer syntax.

        Args:
            identifier: what to get; of it the unique keys are sent, so what `find` yielded will do.
            into: the folder; is made where it does not exist.
            model: as in `find`.
            progress: True for a bar on a terminal, or a function that gets a `Progress`.
            skip_existing: leave out objects of which the folder has a file.
            classes: SOP Class UIDs, where they are known: nothing is asked then.

        Raises StatusError where the peer refuses the whole, ServiceNotSupported where it has no C-GET.
        """
        started = time.monotonic()
        candidates = models(identifier, "Get", model)
        retrieve_keys(identifier, candidates[0])
        folder = Path(into)
        folder.mkdir(parents=True, exist_ok=True)
        report = RetrieveReport(peer=str(self.peer), destination=str(folder), folder=folder, received=0)
        known = self._instances(identifier, needed=skip_existing) if classes is None or skip_existing else []
        wanted = [identifier]
        if skip_existing:
            there = contained(folder)
            left = [one for one in known if one.sop_instance not in there]
            report.existing = len(known) - len(left)
            if report.existing:
                wanted = list(_by_uid(left))
                known = left
        if classes is None:
            classes = {one.sop_class for one in known if one.sop_class}
        total = len(known) if known else None
        if not wanted:
            report.status = 0x0000
        else:
            with progress_handler(progress, f"from {self.peer.ae_title}") as told:
                self._get(wanted, candidates, folder, list(classes), report, total, told)
        report.seconds = time.monotonic() - started
        return report

    def _instances(self, identifier: Dataset, needed: bool) -> list[Instance]:
        """What the peer has of it; nothing where it does not answer and that is not needed."""
        try:
            return list(instances(self.find, identifier))
        except (StatusError, ServiceNotSupported):
            if needed:
                raise
            return []

    def _get(
        self,
        wanted: list[Dataset],
        candidates: Sequence[str],
        folder: Path,
        classes: list[str],
        report: RetrieveReport,
        total: int | None,
        told: ProgressHandler | None,
    ) -> None:
        arrived: dict[str, int] = {}

        def tell(total: int | None) -> None:
            if told is not None:
                done = len(arrived) + report.failed
                told(Progress(done, total, sum(arrived.values()), None, report.failed))

        def on_store(event: Event) -> int:
            request: Any = event.__dict__["request"]
            size = event.dataset_path.stat().st_size
            arrived[str(request.AffectedSOPInstanceUID)] = size
            report.bytes += size
            tell(total)
            return 0x0000

        association, model = self._open_for_get(candidates, classes, folder, [(evt.EVT_C_STORE, on_store)])
        completed = warnings = failed = 0
        try:
            for identifier in wanted:
                keys = retrieve_keys(identifier, model)
                last: Dataset | None = None
                sent = time.monotonic()
                with contextlib.closing(_closable(association.send_c_get(keys, model))) as responses:
                    for status, listed in responses:
                        if status.get("Status") is None:
                            report.problem = str(self._lost(association, sent))
                            break
                        sent, last = time.monotonic(), status
                        take_status(report, status, listed)
                        if total is None and status.get("NumberOfRemainingSuboperations") is not None:
                            tell(len(arrived) + report.failed + int(status.NumberOfRemainingSuboperations))
                completed, warnings = completed + report.completed, warnings + report.warnings
                failed += report.failed_count
                report.completed, report.warnings, report.failed_count = completed, warnings, failed
                if last is None or report.problem:
                    report.status = None
                    break
                if report.status in (None, 0x0000):
                    report.status = int(last.Status)
                self._refused("C-GET", report, last, str(folder), None, None)
        except BaseException:
            association.abort()
            raise
        finally:
            self._links.done_with(association)
        report.received = len(arrived)
        report.missing = 0 if report.problem else max(0, report.completed - len(arrived))
        if report.problem:
            report.completed = len(arrived)
        if report.failed and not report.failures and not report.problem:
            report.failures.append(Failure("", f"{report.failed} sub-operations failed, which the peer does not list"))

    def _open_for_get(
        self, candidates: Sequence[str], classes: list[str], folder: Path, handlers: list[Any]
    ) -> tuple[Association, str]:
        for model in candidates:
            contexts, roles = get_contexts(model, classes)
            association = self._links.open(contexts, ext_neg=roles, store_to=folder, evt_handlers=handlers)
            try:
                association._usable(model)
            except ValueError:
                self._links.done_with(association)
                continue
            return association, model
        raise ServiceNotSupported(str(self.peer), "it does not offer C-GET to us: use move")


def _by_uid(left: list[Instance]) -> Iterator[Dataset]:
    """Identifiers for these objects alone, series by series."""
    series: dict[tuple[str, str], list[str]] = {}
    for one in left:
        series.setdefault((one.study, one.series), []).append(one.sop_instance)
    for (study, of_series), uids in series.items():
        for at in range(0, len(uids), _UIDS_A_REQUEST):
            yield query.image(
                (),
                study_instance_uid=study,
                series_instance_uid=of_series,
                sop_instance_uid=uids[at : at + _UIDS_A_REQUEST],
            )


def _closable(responses: Iterator[Any]) -> Any:
    """The response iterator as what it is: closing it cancels."""
    return responses


def _place(receiver: Receiver, here: str | None) -> str:
    """host:port of a receiver as the peer sees it."""
    host = receiver.address.rpartition(":")[0]
    if host in ("0.0.0.0", "[::]") and here:
        host = f"[{here}]" if ":" in here else here
    return f"{host}:{receiver.port}"
