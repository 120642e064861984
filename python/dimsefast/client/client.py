"""A client of one DICOM node: echo, find, move, get and store in one call each."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import Path

from pydicom.dataset import Dataset

from ..ae import AE
from ..association import Association
from ..waiting import BLOCKING, Waiting, iterate, run
from .links import models
from .reports import ProgressHandler, RetrieveReport, StoreReport
from .retrieve_operations import RetrieveOperations
from .sources import Storable


class Client(RetrieveOperations):
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

    _entity = AE
    _association_type = Association

    @property
    def _waiting(self) -> Waiting:
        return BLOCKING

    def close(self) -> None:
        """Releases its associations; operations that are running in other threads are aborted. May be called twice."""
        run(self._links.close())

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def echo(self) -> float:
        """Asks whether the peer answers; returns the seconds that the C-ECHO took, without the association.

        Raises StatusError for a status that is not success.
        """
        return run(self._echo())

    def find(self, identifier: Dataset, model: str | None = None) -> Generator[Dataset, None, None]:
        """Queries; yields what matches as it comes. Leaving the loop early cancels the query.

        `model` is "study", "patient", "worklist" or a SOP Class UID; default is what the identifier's level allows:
        Study Root, for PATIENT Patient Root, for `query.worklist()` Modality Worklist.

        Raises ValueError for an identifier without level; in the loop StatusError where the peer reports a failure.
        """
        return iterate(self._find(identifier, models(identifier, "Find", model)))

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
        return run(self._store(items, progress, skip_existing, decompress))

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
        return run(self._move(identifier, to, receive, model, progress))

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
        return run(self._get(identifier, into, model, progress, skip_existing, classes))
