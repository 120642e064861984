"""What an archive answers, to its own program and to peers: the methods of `Archive` on top of `Provider`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydicom.dataset import Dataset

from ..ae import AE
from .provider import Provider
from .retrieval import Destinations
from .search import Options

if TYPE_CHECKING:
    from ..events import EventType
    from ..presentation import PresentationContext
    from ..server import AssociationServer
    from ..tls import TLS
    from .archive import Archive

#: Associations at the same time.
_MAXIMUM_ASSOCIATIONS = 100


class Services:
    """The part of an `Archive` that answers peers."""

    def __init__(self) -> None:
        self._closing: list[Callable[[], None]] = []
        self._own_provider = Provider(cast("Archive", self))

    def before_closing(self, close: Callable[[], None]) -> None:
        """Has something called when the archive is closed, while it still answers."""
        self._closing.append(close)

    def _close_services(self) -> None:
        for close in self._closing:
            close()

    def find(
        self,
        identifier: Dataset | bytes,
        model: str | None = None,
        *,
        relational: bool = False,
        datetime: bool = False,
        fuzzy: bool = False,
        timezone: bool = False,
        empty_value: bool = False,
        multiple_value: bool = False,
    ) -> Iterator[Dataset]:
        """What a C-FIND would answer: the identifier of each match, as rows are read, decoded when it is looked at.

        Everything that was acknowledged before is considered. What is stored later is not, and what is replaced or
        removed before it was read may be missing.

        Args:
            identifier: the keys: `query.study(...)` and the like, or an encoded one in Explicit VR Little Endian.
            model: UID of the SOP class. Default: Study Root; for the patient level Patient Root.
            relational, datetime, fuzzy, timezone, empty_value, multiple_value: see `Matcher`.

        Raises MatchError for an identifier that the model does not allow, ArchiveError where the index cannot be read.
        """
        options = Options(relational, datetime, fuzzy, timezone, empty_value, multiple_value)
        return self._own_provider.find(identifier, model, options)

    def files(self, identifier: Dataset | bytes, model: str | None = None, **options: bool) -> Iterator[Path]:
        """The files of what matches, by study, series and Instance Number: what a C-MOVE would send.

        A file that is not there any more is left out, and logged. Arguments and errors are those of `find`.
        """
        return self._own_provider.files(identifier, model, Options(**options))

    @property
    def contexts(self) -> list[PresentationContext]:
        """The presentation contexts of its services, for a server of one's own::

            ae.start_server(
                address, contexts=archive.contexts, evt_handlers=archive.handlers, store_to=archive.store_to
            )

        Without a worklist, and without destinations of moves and reports: `provider.Provider` takes these.
        """
        return self._own_provider.contexts()

    @property
    def handlers(self) -> list[tuple[EventType, Callable[..., Any]]]:
        """The handlers of its services; see `contexts`."""
        return self._own_provider.handlers

    def serve(
        self,
        address: tuple[str, int] = ("0.0.0.0", 11112),
        *,
        ae_title: str = "ARCHIVE",
        destinations: Destinations | None = None,
        worklist: str | PathLike[str] | None = None,
        maximum_associations: int = _MAXIMUM_ASSOCIATIONS,
        commitment: bool = True,
        mpps: bool = True,
        block: bool = True,
        tls: TLS | None = None,
    ) -> AssociationServer | None:
        """Serves Verification, Storage, Query/Retrieve, Storage Commitment, MPPS and, with a folder, Modality Worklist.

        Args:
            address: (host, port); port 0 takes a free one.
            ae_title: its AE title. Peers may call it by another.
            destinations: where move destinations are, and where results of storage commitment go, by AE title; see
                `Provider`. Default: there are none.
            worklist: a folder of worklist items; see `Worklist`.
            maximum_associations: at the same time; one more is rejected.
            commitment, mpps: whether Storage Commitment and Modality Performed Procedure Step are offered; see
                `Provider`.
            block: serve until Ctrl-C; otherwise return the server.
            tls: speak TLS.

        Raises OSError where the address cannot be bound, ValueError for TLS that no server can use.
        """
        archive = cast("Archive", self)
        provider = Provider(archive, destinations=destinations, worklist=worklist, commitment=commitment, mpps=mpps)
        ae = AE(ae_title)
        ae.maximum_associations = maximum_associations
        return ae.start_server(
            address,
            block,
            contexts=provider.contexts(),
            evt_handlers=provider.handlers,
            store_to=archive.store_to,
            tls=tls,
        )
