"""Where received objects go: what `store_to` takes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydicom.datadict import tag_for_keyword

from . import _core

if TYPE_CHECKING:
    from .ae import Entity
    from .association_base import AssociationBase
    from .request import Request

#: What a callable is told where it does not say what it wants: the unique keys of the four levels, and Modality.
DEFAULT_ATTRIBUTES: Final = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Modality")

#: Says where an object goes: see `StoreTo`.
Decide = Callable[["Request", "AssociationBase", Mapping[str, str]], Any]


class Discard:
    """The kind of `DISCARD`."""

    def __repr__(self) -> str:
        return "DISCARD"


#: Received objects are counted and dropped. A handler of EVT_C_STORE sees `event.dataset_length`.
DISCARD: Final = Discard()


class StoreTo:
    """Where received objects go, in detail.

    Args:
        to: a folder, `DISCARD`, or a callable (below).
        layout: where in the folder each object goes: a template over the attributes at the top level of its header by
            DICOM keyword, such as `{PatientID}/{StudyInstanceUID}/{SOPInstanceUID}.dcm`. `{SOPInstanceUID}` and
            `{SOPClassUID}` are those of the request, `{TransferSyntaxUID}` that of its presentation context,
            `{CallingAETitle}` and `{CalledAETitle}` those of the association; `{SOPInstanceUID.hash}` is two
            hexadecimal digits that spread objects evenly over 256 folders. Values are decoded, and made safe: one
            with a separator, a control character, a leading dot and so on, or longer than 90 bytes, has these replaced
            and a hash at its end, so that different values have different names. Folders are made as needed.
        missing: what stands for an empty or missing value.
        fsync: whether file and folder are on the disk before the response is sent.
        duplicates: what becomes of an object whose file is there already. It can "replace" that, be kept beside it
            ("keep": as `name_2.dcm` and so on), or be refused with 0111H ("refuse"); one that is equal byte by byte is
            then answered 0000H.
        attributes: keywords of attributes at the top level that `event.header` of EVT_C_STORE has, and a callable is
            told; default none, with a callable `DEFAULT_ATTRIBUTES`.

    A callable is called as `(request, association, header)` for each object, once these attributes have come and
    before the rest is read; `header` has their values as text by keyword, without those that are absent. While it runs,
    only its own association waits; a PDU must still come in within the network time-out. It returns

    - a folder: the object goes into it as `layout` and the others say; made if it is not there;
    - a path that ends in `.dcm`: the file itself, its folder made if it is not there;
    - a `StoreTo` of one of the other kinds, or `DISCARD`;
    - an object with `write`: that is given the encoded dataset in pieces of about 1 MB, then closed, if it can be;
    - None: memory, as without `store_to`;
    - a status (int): the rest is dropped, and the status answered.

    What it raises is logged, and answered with C211H; an OSError of a writable with A700H. What a peer sends is no
    path: `safe_name` makes a part of one.

    Raises ValueError for a layout, attribute or option that cannot be used, with the reason.
    """

    def __init__(
        self,
        to: str | os.PathLike[str] | Discard | Decide,
        layout: str = "{SOPInstanceUID}.dcm",
        missing: str = "unknown",
        fsync: bool = False,
        duplicates: Literal["replace", "keep", "refuse"] = "replace",
        attributes: Iterable[str] | None = None,
    ) -> None:
        self.decide: Decide | None = None
        self.folder: Path | None = None
        if isinstance(to, (str, os.PathLike)):
            self.folder = Path(to).resolve()
        elif callable(to):
            self.decide = to
        elif not isinstance(to, Discard):
            raise TypeError(f"objects are stored to a folder, DISCARD or where a callable says, not {to!r}")
        if duplicates not in ("replace", "keep", "refuse"):
            raise ValueError(f'duplicates is "replace", "keep" or "refuse", not {duplicates!r}')
        self.layout, self.missing, self.fsync, self.duplicates = layout, missing, bool(fsync), duplicates
        self._layout = _core.Layout(layout, missing, tag_for_keyword)
        if duplicates == "replace" and not self._layout.keeps_objects_apart:
            raise ValueError(
                f"the layout {layout!r} has no {{SOPInstanceUID}}: objects would replace others. "
                'duplicates="keep" or "refuse" goes with it'
            )
        if attributes is None:
            attributes = () if self.decide is None else DEFAULT_ATTRIBUTES
        self.attributes = (attributes,) if isinstance(attributes, str) else tuple(attributes)
        self._keywords = [(keyword, _tag(keyword)) for keyword in self.attributes]
        # Checks the attributes.
        _core.StorePlan.discard(self._keywords)

    @classmethod
    def of(cls, value: Any) -> StoreTo:
        """What `store_to` was given, as one of these."""
        return value if isinstance(value, cls) else cls(value)

    def prepare(self) -> None:
        """Looks at the folder before anything comes, and removes what dead processes have left unfinished in it.

        Raises NotADirectoryError where it is none.
        """
        if self.folder is None:
            return
        if not self.folder.is_dir():
            raise NotADirectoryError(f"store_to={str(self.folder)!r} is not a folder that is there: make it first")
        with _PREPARED_LOCK:
            if self.folder in _PREPARED:
                return
            _PREPARED.add(self.folder)
        _core.remove_leftovers(self.folder)

    def plan(self, ae: Entity) -> _core.StorePlan:
        """The same for the core, which writes files in the name of the AE."""
        if self.decide is not None:
            return _core.StorePlan.ask(self._keywords)
        if self.folder is None:
            return _core.StorePlan.discard(self._keywords)
        return self._into(ae, self.folder, self._layout)

    def plan_for(self, ae: Entity, answer: Any) -> _core.StorePlan:
        """What the callable has answered, for the core: a folder, a file, `DISCARD`, another `StoreTo` or None.

        Raises TypeError for anything else.
        """
        if answer is None:
            return _core.StorePlan.memory()
        if isinstance(answer, StoreTo):
            if answer.decide is not None:
                raise TypeError("a callable of store_to returned another callable")
            if answer.folder is not None:
                _make(answer.folder)
            return answer.plan(ae)
        if isinstance(answer, Discard):
            return _core.StorePlan.discard([])
        if not isinstance(answer, (str, os.PathLike)):
            raise TypeError(f"a callable of store_to returned {answer!r}, which is no place for an object")
        path = Path(answer).resolve()
        if path.suffix.lower() == ".dcm":
            _make(path.parent)
            return self._into(ae, path.parent, _core.Layout.file(path.name))
        _make(path)
        return self._into(ae, path, self._layout)

    def _into(self, ae: Entity, folder: Path, layout: _core.Layout) -> _core.StorePlan:
        keywords = [] if self.decide is not None else self._keywords
        version = ae.implementation_version_name or ""
        return _core.StorePlan.folder(
            folder, layout, keywords, self.duplicates, self.fsync, str(ae.implementation_class_uid), version
        )

    def __repr__(self) -> str:
        to = self.decide or (DISCARD if self.folder is None else str(self.folder))
        return f"StoreTo({to!r}, layout={self.layout!r}, duplicates={self.duplicates!r}, fsync={self.fsync})"


#: What `store_to` takes.
StoreTarget = str | os.PathLike[str] | Discard | StoreTo | Decide


def prepared(store_to: StoreTarget | None) -> StoreTo | None:
    """What `store_to` was given, ready for use."""
    if store_to is None:
        return None
    storing = StoreTo.of(store_to)
    storing.prepare()
    return storing


#: Folders that this process has looked into.
_PREPARED: set[Path] = set()
_PREPARED_LOCK = threading.Lock()


def _make(folder: Path) -> None:
    # Where it cannot be made, the core cannot write the file, and says so to the log and, with A700H, to the peer.
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"the attribute {keyword!r} is no DICOM keyword")
    return tag


def safe_name(value: str) -> str:
    """A part of a file name from a text that a peer chose, as `StoreTo` makes it. Empty for an empty one."""
    return _core.safe_name(value)
