"""The services of an archive: Verification, Storage, Query/Retrieve, Worklist, Storage Commitment, MPPS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydicom.dataset import Dataset

from .. import _sop_class_data as data
from .. import evt, sop_class
from ..dataset import decode_dataset
from ..errors import MatchError
from ..matching import EXPLICIT_LITTLE
from ..presentation import ALL_TRANSFER_SYNTAXES, PresentationContext, build_context
from ..workflow import StorageCommitmentProvider
from ..workflow.reporting import RETRY_AFTER
from . import extended
from .commitment import held
from .retrieval import Destinations, destination, report_address, stored
from .search import Options, Search
from .settings import OPERATIONS
from .worklist import MODEL as WORKLIST
from .worklist import Worklist

if TYPE_CHECKING:
    from ..events import EventType
    from ..workflow import Service
    from .archive import Archive

_PENDING, _CANCELLED, _UNABLE = 0xFF00, 0xFE00, 0xC000
#: PS3.4 C.4.2.1.5: refused, move destination unknown.
_UNKNOWN_DESTINATION: Final = (None, None)

#: Seconds before each further attempt to report what is committed, and after the request until that is given up.
_GIVE_UP_AFTER: Final = 24 * 3600.0
_RETRY_AFTER: Final = (*RETRY_AFTER, 600.0, *[3600.0] * 24)

_ROOTS: Final = ("PatientRoot", "StudyRoot", "PatientStudyOnly")


class Provider:
    """What an archive answers, for a server of one's own; `Archive.serve` makes the usual one::

        provider = Provider(archive, destinations={"WORKSTATION": "10.0.0.7:11112"})
        ae.start_server(
            address, contexts=provider.contexts(), evt_handlers=provider.handlers, store_to=archive.store_to
        )

    Args:
        archive: the archive.
        destinations: where move destinations are, by AE title: "host:port", (host, port) or (host, port, keywords of
            `AE.associate` and `MoveOptions`); or a function of the AE title that returns one of these, or None. Results
            of storage commitment are reported there, too, where they cannot go over the requestor's association.
        worklist: a folder with the items of a modality worklist (see `Worklist`). Default: there is no worklist.
        refused: options of queries that are not granted, by their names in `Options`: "relational", "fuzzy".
        commitment: whether storage commitment is offered. A commitment means what an acknowledged C-STORE means, see
            `Archive`. Results that have not been reported when the archive is closed or its process killed are reported
            by the next provider of the archive that knows the destination, so that a peer may get one twice. A result
            is given up 24 hours after its request.
        report_on_same_association: see `StorageCommitmentProvider`.
        mpps: whether Modality Performed Procedure Steps are kept. A step survives what an acknowledged object does.
        relational: whether an identifier may leave out the unique keys above its level where relational queries were
            not negotiated; default is PS3.4 C.4.1.3.1.1, by which such a one is refused with A900H.
    """

    def __init__(
        self,
        archive: Archive,
        *,
        destinations: Destinations | None = None,
        worklist: str | PathLike[str] | None = None,
        refused: Iterable[str] = (),
        commitment: bool = True,
        report_on_same_association: bool = True,
        mpps: bool = True,
        relational: bool = False,
    ) -> None:
        self._archive = archive
        self.destinations: Destinations = {} if destinations is None else destinations
        self.worklist = None if worklist is None else Worklist(worklist)
        self._refused = frozenset(refused)
        self._relational = relational
        self._workflow: dict[str, Service] = {}
        if commitment:
            self._workflow["commitment"] = StorageCommitmentProvider(
                lambda references: held(archive, references),
                lambda title: report_address(self.destinations, title),
                same_association=report_on_same_association,
                retry_after=_RETRY_AFTER,
                give_up_after=_GIVE_UP_AFTER,
                store=archive.storage.commitments,
            )
            archive.before_closing(self._workflow["commitment"].close)
        if mpps:
            self._workflow["mpps"] = archive.mpps

    def contexts(self, operations: Iterable[str] = OPERATIONS) -> list[PresentationContext]:
        """What it supports for these operations, which are those of `settings.OPERATIONS`.

        Raises ValueError for another one.
        """
        wanted = set(operations)
        if unknown := wanted - set(OPERATIONS):
            raise ValueError(f"an operation is one of {', '.join(OPERATIONS)}, not {min(unknown)!r}")
        contexts = [build_context(sop_class.Verification)] if "echo" in wanted else []
        if wanted & {"store", "get"}:
            for uid in (*data.STORAGE.values(), *data.RETIRED_STORAGE.values()):
                context = build_context(uid, ALL_TRANSFER_SYNTAXES)
                # A C-GET turns the roles around: the requestor takes what is stored.
                context.scu_role, context.scp_role = "store" in wanted, "get" in wanted
                contexts.append(context)
        for operation in ("find", "move", "get"):
            if operation in wanted:
                models = (f"{root}QueryRetrieveInformationModel{operation.title()}" for root in _ROOTS)
                contexts.extend(build_context(data.QUERY_RETRIEVE[model]) for model in models)
        if "worklist" in wanted and self.worklist is not None:
            contexts.append(build_context(WORKLIST))
        for operation, service in self._workflow.items():
            if operation in wanted:
                contexts.extend(service.contexts)
        return contexts

    @property
    def handlers(self) -> list[tuple[EventType, Callable[..., Any]]]:
        """The handlers to bind."""
        return [
            (evt.EVT_SOP_EXTENDED, self.on_extended_negotiation),
            (evt.EVT_C_FIND, self.on_find),
            (evt.EVT_C_MOVE, self.on_move),
            (evt.EVT_C_GET, self.on_get),
            *(bound for service in self._workflow.values() for bound in service.handlers),
        ]

    def find(
        self,
        identifier: Dataset | bytes,
        model: str | None = None,
        options: Options = Options(),  # noqa: B008
    ) -> Iterator[Dataset]:
        """What a C-FIND would answer, decoded when it is looked at. See `Archive.find`."""
        responses = self._search(identifier, model, options).responses()
        return (decode_dataset(encoded, EXPLICIT_LITTLE) for encoded in responses)

    def files(
        self,
        identifier: Dataset | bytes,
        model: str | None = None,
        options: Options = Options(),  # noqa: B008
    ) -> Iterator[Path]:
        """The files that a C-MOVE would send. See `Archive.files`."""
        keys = self._search(identifier, model, options).instances()
        found = stored(self._archive.database, self._archive.storage, keys)
        return (one.path for one in found if one.path is not None)

    def on_extended_negotiation(self, event: Any) -> dict[str, bytes]:
        """Answers what was asked for beyond the baseline."""
        answers = {str(uid): extended.answer(str(uid), asked, self._refused) for uid, asked in event.app_info.items()}
        return {uid: agreed for uid, agreed in answers.items() if agreed is not None}

    def on_find(self, event: Any) -> Iterator[tuple[Any, list[bytes] | None]]:
        """C-FIND: the matches of some rows as soon as these were read."""
        try:
            responses = self._responses(event)
        except ValueError as error:
            yield _refusal(error), None
            return
        for response in responses:
            if event.is_cancelled:
                break
            yield _PENDING, response
        if event.is_cancelled:
            yield _CANCELLED, None

    def on_move(self, event: Any) -> Iterator[Any]:
        """C-MOVE: the instances of what matches, to a destination."""
        try:
            keys = self._requested(event)
            address = destination(self.destinations, event.move_destination)
        except ValueError as error:
            yield _refusal(error)
            return
        yield _UNKNOWN_DESTINATION if address is None else address
        yield from self._sub_operations(event, keys)

    def on_get(self, event: Any) -> Iterator[Any]:
        """C-GET: the same over the association of the request."""
        try:
            keys = self._requested(event)
        except ValueError as error:
            yield _refusal(error)
            return
        yield from self._sub_operations(event, keys)

    def _sub_operations(self, event: Any, keys: Any) -> Iterator[Any]:
        if event.is_cancelled:
            # Before all of them were known.
            yield 1
            yield _CANCELLED, None
            return
        yield len(keys)
        for found in stored(self._archive.database, self._archive.storage, keys):
            if event.is_cancelled:
                yield _CANCELLED, None
                return
            yield _PENDING, found.item()

    def _requested(self, event: Any) -> Any:
        model = str(event.context.abstract_syntax)
        options = self._options(event, model)
        syntax = str(event.context.transfer_syntax)
        return self._search(event.encoded_identifier, model, options, syntax).instances(lambda: event.is_cancelled)

    def _responses(self, event: Any) -> Iterator[list[bytes]]:
        model, syntax = str(event.context.abstract_syntax), str(event.context.transfer_syntax)
        options = self._options(event, model)
        if model == WORKLIST:
            if self.worklist is None:
                raise MatchError(_UNABLE, None, "there is no worklist here")
            items = self.worklist.responses(
                event.encoded_identifier,
                options,
                local_timezone=self._archive.local_timezone,
                transfer_syntax=syntax,
                response_syntax=syntax,
                is_cancelled=lambda: event.is_cancelled,
            )
            return ([item] for item in items)
        search = self._search(event.encoded_identifier, model, options, syntax)
        return search.response_batches(syntax, event.assoc.acceptor.ae_title.strip(), lambda: event.is_cancelled)

    def _options(self, event: Any, model: str) -> Options:
        """What was negotiated, or is granted to everybody."""
        agreed = extended.negotiated(event.assoc, model, self._refused)
        return agreed._replace(relational=agreed.relational or (self._relational and model != WORKLIST))

    def _search(
        self,
        identifier: Dataset | bytes,
        model: str | None,
        options: Options,
        transfer_syntax: str = EXPLICIT_LITTLE,
    ) -> Search:
        search = Search(
            self._archive.database,
            identifier,
            model or _default_model(identifier, transfer_syntax),
            options,
            local_timezone=self._archive.local_timezone,
            transfer_syntax=transfer_syntax,
        )
        # What was acknowledged before the query is found by it.
        self._archive.up_to_date()
        return search


def _default_model(identifier: Dataset | bytes, transfer_syntax: str) -> str:
    """Study Root; for the patient level Patient Root."""
    keys = decode_dataset(identifier, transfer_syntax) if isinstance(identifier, bytes) else identifier
    root = "PatientRoot" if keys.get("QueryRetrieveLevel") == "PATIENT" else "StudyRoot"
    return data.QUERY_RETRIEVE[f"{root}QueryRetrieveInformationModelFind"]


def _refusal(error: ValueError) -> Dataset:
    """The status for an identifier that cannot be used."""
    if isinstance(error, MatchError):
        return error.as_status()
    return MatchError(_UNABLE, None, str(error)[:64]).as_status()
