"""One association, in either role: its state, its contexts, and the requests that can be sent over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from . import requests
from .association_base import AssociationBase
from .normalized import NormalizedRequests
from .operation import Iteration
from .sending import StoreResult
from .waiting import BLOCKING, run


class Association(NormalizedRequests, AssociationBase):
    """An association with a peer AE.

    Made by `AE.associate`, `AE.connect`, or by a server for each peer that it accepts. As a context manager it is
    released at the end of the block, and aborted where the block raises.

    Requests may be sent from any thread; one is in progress at a time, the others wait. A request from the thread that
    runs a handler of this very association raises RuntimeError: it could never be answered.
    """

    _waiting = BLOCKING

    def release(self) -> None:
        """Releases the association. Nothing where it is over already; aborted where the peer does not confirm in
        time.
        """
        run(self._release())

    def abort(self, block: bool = True) -> None:
        """Aborts the association at once, from any thread. Nothing where it is over already.

        `block` is there for programs written for pynetdicom: the abort is always on its way when this returns.
        """
        self._abort()
        self._run_jobs()

    def join(self, timeout: float | None = None) -> None:
        """Waits until the transport connection is closed, at most `timeout` seconds."""
        if self._connection is not None:
            try:
                self._connection.wait_closed(timeout)
            except TimeoutError:
                return

    def kill(self) -> None:
        """Ends the association: `abort` under its other name."""
        self.abort()

    def __enter__(self) -> Association:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    def send_c_echo(self, msg_id: int | None = None) -> Dataset:
        """Sends C-ECHO and returns the status, an empty Dataset where no valid answer came.

        `msg_id` is the Message ID, None for the next free one.

        Raises RuntimeError where the association is not established, ValueError without an accepted Verification
        context.
        """
        return run(requests.c_echo(self, msg_id))

    def send_c_store(
        self,
        dataset: Dataset | str | Path | bytes,
        msg_id: int | None = None,
        priority: int = 2,
        originator_aet: str | None = None,
        originator_id: int | None = None,
        decompress: bool = False,
    ) -> Dataset:
        """Sends one object: a Dataset, the path of a DICOM file, or the bytes of one.

        A file whose transfer syntax was accepted is streamed as it is, without being decoded. Between Implicit VR,
        Explicit VR, Big Endian and Deflated it is converted; compressed pixel data is decoded only with `decompress`,
        by pydicom's decoders. Returns the status, an empty Dataset where no valid answer came.

        Raises RuntimeError (not established), AttributeError (no SOP Class UID, SOP Instance UID or transfer syntax),
        ValueError (bad priority, no fitting context, not encodable, no DICOM file), OSError (file).
        """
        return run(requests.c_store(self, dataset, msg_id, priority, originator_aet, originator_id, decompress))

    def store(
        self,
        items: Iterable[Dataset | str | Path | bytes],
        progress: Callable[[StoreResult], object] | None = None,
        priority: int = 2,
        decompress: bool = False,
    ) -> Iterator[StoreResult]:
        """Sends many objects; yields a `StoreResult` for each, in order, without stopping at a failure.

        As many are in progress at once as the asynchronous operations window that was negotiated allows, and the next
        one is read while the one before is on its way. Nothing is sent before the first result is asked for; leaving
        the loop early sends no more.

        Args:
            items: Datasets, paths of DICOM files, or the bytes of such.
            progress: called with each result.
            priority: 0 medium, 1 high, 2 low.
            decompress: whether compressed pixel data may be decoded where the peer does not take it as it is.

        Raises, at the first step: RuntimeError (not established), ValueError (bad priority).
        """
        return Iteration(requests.store_many(self, items, progress, priority, decompress))

    def send_c_find(
        self, dataset: Dataset, query_model: str, msg_id: int | None = None, priority: int = 2
    ) -> Iterator[tuple[Dataset, Dataset | None]]:
        """Sends a query, at once; yields (status, identifier) for each response as it comes, last the final status with
        None.

        The identifier of a response that is no dataset is None, and logged.

        Leaving the loop early cancels the query. After an abort or time-out the last item is (empty Dataset, None).

        Raises RuntimeError (not established), ValueError (no fitting context, identifier not encodable).
        """
        return Iteration.begun(requests.c_find(self, dataset, query_model, msg_id, priority))

    def find(
        self,
        dataset: Dataset | bytes,
        query_model: str,
        raw: bool = False,
        msg_id: int | None = None,
        priority: int = 2,
    ) -> Iterator[tuple[Any, Any]]:
        """As `send_c_find`; with `raw`, identifiers are encoded bytes on the way in and out, and statuses plain
        integers.
        """
        return Iteration.begun(requests.c_find(self, dataset, query_model, msg_id, priority, raw=raw))

    def send_c_move(
        self,
        dataset: Dataset,
        move_aet: str,
        query_model: str,
        msg_id: int | None = None,
        priority: int = 2,
    ) -> Iterator[tuple[Dataset, Dataset | None]]:
        """Asks the peer to send what matches to the AE `move_aet`; yields (status, identifier) for each response.

        Statuses carry the numbers of remaining, completed, failed and warning sub-operations. Otherwise as
        `send_c_find`.
        """
        return Iteration.begun(requests.c_move(self, dataset, move_aet, query_model, msg_id, priority))

    def send_c_get(
        self, dataset: Dataset, query_model: str, msg_id: int | None = None, priority: int = 2
    ) -> Iterator[tuple[Dataset, Dataset | None]]:
        """Asks the peer to send what matches over this association; yields (status, identifier) for each response.

        The objects go to the handler of EVT_C_STORE, or into the folder given as `store_to`; their contexts need the
        SCP role, see `build_role`. Otherwise as `send_c_find`.
        """
        return Iteration.begun(requests.c_get(self, dataset, query_model, msg_id, priority))

    def send_c_cancel(self, msg_id: int, context_id: int | None = None, query_model: str | None = None) -> None:
        """Asks the peer to end the C-FIND, C-MOVE or C-GET with this Message ID.

        Raises ValueError where neither the context nor the query model is given, RuntimeError where not established.
        """
        run(requests.c_cancel(self, msg_id, context_id, query_model))
