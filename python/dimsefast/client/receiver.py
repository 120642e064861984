"""A C-STORE receiver that writes into folders, and knows which move an object belongs to."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .. import _sop_class_data as data
from .. import evt
from ..ae import AE
from ..errors import ReceiverError
from ..events import Event
from ..presentation import ALL_TRANSFER_SYNTAXES
from ..sop_class import Verification
from ..tls import TLS
from .peer import parse_address

#: C-STORE: refused, nobody here asked for this object.
_NOT_AUTHORIZED, _CANNOT_STORE = 0x0124, 0xA700
#: Associations at the same time: archives send a move over several.
_MOST_ASSOCIATIONS = 64
#: File names of which the receiver knows where the file went.
_REMEMBERED = 1024


class Received(NamedTuple):
    """One object that arrived.

    Attributes:
        sop_instance_uid: as the sender gave it.
        path: its file.
        bytes: the size of the file.
        sender: the calling AE title.
    """

    sop_instance_uid: str
    sop_class_uid: str
    path: Path
    bytes: int
    sender: str


class Expected:
    """A move whose objects come to a receiver."""

    def __init__(
        self, peer_title: str, title: str, message_id: int, folder: Path, told: Callable[[Received], object] | None
    ) -> None:
        self.peer_title = peer_title
        self.title = title
        self.message_id = message_id
        self.folder = folder
        self.told = told
        self.changed = threading.Condition()
        self.count = 0
        self.bytes = 0
        self.uids: set[str] = set()

    def arrived(self, received: Received) -> None:
        """One more is there."""
        with self.changed:
            self.count += 1
            self.bytes += received.bytes
            self.uids.add(received.sop_instance_uid)
            self.changed.notify_all()
        if self.told is not None:
            self.told(received)

    def wait(self, count: int, timeout: float) -> None:
        """Waits until as many have arrived, at most `timeout` seconds after the last one that did."""
        with self.changed:
            while self.count < count:
                before = self.count
                if not self.changed.wait_for(lambda before=before: self.count > before, timeout):  # type: ignore[misc]
                    return


class Receiver:
    """Receives objects under an AE title: `<SOP Instance UID>.dcm` in a folder each.

    Moves of a `Client` with the same AE title and address use one that is running; without a folder it takes the
    objects of these and refuses others. Usable as a context manager that closes at its end.

    Args:
        ae_title: its AE title.
        listen: "host:port"; port 0 takes a free one.
        folder: where objects go that belong to no move; is made where it does not exist.
        told: called with each `Received` that belongs to no move.
        max_pdu: maximum length of a P-DATA PDU that is received, in bytes; default that of `AE`.
        tls: have all objects come by TLS.

    Raises ReceiverError where the address cannot be bound, ValueError for what is none.
    """

    _running: dict[tuple[str, int], Receiver] = {}  # noqa: RUF012
    _running_lock = threading.Lock()

    def __init__(
        self,
        ae_title: str,
        listen: str = "0.0.0.0:11112",
        folder: str | Path | None = None,
        told: Callable[[Received], object] | None = None,
        max_pdu: int | None = None,
        tls: TLS | None = None,
    ) -> None:
        host, port = parse_address(listen, "the address to listen at", "host:port")
        host = host or "0.0.0.0"
        self.ae_title = ae_title
        self.folder = None if folder is None else Path(folder)
        self._told = told
        self._tls = tls
        self._key = (host, port)
        self._lock = threading.Lock()
        self._expected: list[Expected] = []
        self._users = 1
        self._placed: OrderedDict[str, Path] = OrderedDict()
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        # Unfinished and not yet assigned objects, on the file system where they stay.
        self._staging = tempfile.TemporaryDirectory(prefix=".receiving-", dir=self.folder)
        self._ae = AE(ae_title)
        self._ae.maximum_associations = _MOST_ASSOCIATIONS
        if max_pdu is not None:
            self._ae.maximum_pdu_size = max_pdu
        self._ae.add_supported_context(Verification)
        for uid in (*data.STORAGE.values(), *data.RETIRED_STORAGE.values()):
            self._ae.add_supported_context(uid, ALL_TRANSFER_SYNTAXES)
        try:
            self._server: Any = self._ae.start_server(
                (host, port),
                block=False,
                evt_handlers=[(evt.EVT_C_STORE, self._store)],
                store_to=self._staging.name,
                tls=tls,
            )
        except ValueError:
            self._staging.cleanup()
            raise
        except OSError as error:
            self._staging.cleanup()
            raise ReceiverError(
                f"the receiver {ae_title} cannot listen at {listen}: {error.strerror or error}; end the program that "
                "has the port, or listen at another one, which the archive must know then"
            ) from error

    @property
    def port(self) -> int:
        """The port that is bound."""
        return int(self._server.port)

    @property
    def address(self) -> str:
        """host:port that is bound."""
        host = self._server.address[0]
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def expect(
        self,
        peer_title: str,
        message_id: int,
        folder: Path,
        told: Callable[[Received], object] | None = None,
        title: str | None = None,
    ) -> Expected:
        """Takes the objects of this move into a folder, until `forget`."""
        folder.mkdir(parents=True, exist_ok=True)
        expected = Expected(peer_title, (title or self.ae_title).strip(), message_id, folder, told)
        with self._lock:
            self._expected.append(expected)
        return expected

    def forget(self, expected: Expected) -> None:
        """The move is over."""
        with self._lock:
            self._expected.remove(expected)

    def _owner(self, event: Event) -> Expected | None:
        """The move that an object belongs to."""
        request: Any = event.__dict__["request"]
        title, number = request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID
        sender = event.assoc.requestor.ae_title.strip()
        with self._lock:
            if title is None and number is None:
                of_peer = [expected for expected in self._expected if expected.peer_title.strip() == sender]
                rest = of_peer or (self._expected if self.folder is None else [])
                return rest[0] if rest else None
            for expected in self._expected:
                if expected.message_id == number and title in (None, "", expected.title):
                    return expected
        return None

    def _store(self, event: Event) -> int:
        came = event.dataset_path
        expected = self._owner(event)
        folder = self.folder if expected is None else expected.folder
        if folder is None:
            came.unlink(missing_ok=True)
            return _NOT_AUTHORIZED
        # The core made the file name: a UID, or harmless characters of what claims to be one.
        path = folder / came.name
        try:
            self._place(came, path)
            size = path.stat().st_size
        except OSError:
            came.unlink(missing_ok=True)
            return _CANNOT_STORE
        request: Any = event.__dict__["request"]
        uid, cls = str(request.AffectedSOPInstanceUID), str(request.AffectedSOPClassUID)
        received = Received(uid, cls, path, size, event.assoc.requestor.ae_title.strip())
        if expected is not None:
            expected.arrived(received)
        elif self._told is not None:
            self._told(received)
        return 0x0000

    def _place(self, came: Path, path: Path) -> None:
        """Gives a file its place.

        The same object may come for several moves at once: the second finds the file taken by the first, and has its
        copy.
        """
        with self._lock:
            try:
                _rename(came, path)
            except FileNotFoundError:
                taken = self._placed.get(came.name)
                if taken is None:
                    raise
                _copy(taken, path)
            self._placed[came.name] = path
            while len(self._placed) > _REMEMBERED:
                self._placed.popitem(last=False)

    # One for several moves
    # -----------------------------------------------------------------------------------------------

    def share(self) -> Receiver:
        """Lets moves of clients in this process use it."""
        with self._running_lock:
            self._running[self._key] = self
        return self

    @classmethod
    def shared(cls, ae_title: str, listen: str, folder: Path, max_pdu: int | None, tls: TLS | None = None) -> Receiver:
        """The one that is running for this AE title and address, or a new one; `close` it afterwards."""
        key = parse_address(listen, "the address to listen at", "host:port")
        key = (key[0] or "0.0.0.0", key[1])
        with cls._running_lock:
            found = cls._running.get(key)
            if found is not None and found.ae_title.strip() == ae_title.strip():
                if found._tls is not tls:
                    raise ReceiverError(f"{listen} is in use by this process with other TLS: share one TLS object")
                found._users += 1
                return found
            folder.mkdir(parents=True, exist_ok=True)
            made = cls(ae_title, listen, max_pdu=max_pdu, tls=tls)
            cls._running[key] = made
            return made

    def close(self) -> None:
        """Stops listening, once everybody who shares it has closed it."""
        with self._running_lock:
            self._users -= 1
            if self._users > 0:
                return
            if self._running.get(self._key) is self:
                del self._running[self._key]
            self._ae.shutdown()
        self._staging.cleanup()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_part = itertools.count()


def _rename(came: Path, path: Path) -> None:
    """Gives a whole file its name; nobody sees half of one, on another file system either."""
    try:
        os.replace(came, path)
    except FileNotFoundError:
        raise
    except OSError:
        _copy(came, path)
        came.unlink()


def _copy(came: Path, path: Path) -> None:
    part = path.with_name(f".{os.getpid()}-{next(_part)}.part")
    try:
        shutil.copyfile(came, part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
