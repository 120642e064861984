"""A modality worklist from files: an item in each DICOM file (.dcm, .wl), one or several in DICOM JSON (.json)."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread
from pydicom.dataset import Dataset

from .. import sop_class
from ..dataset import encode_dataset
from ..matching import EXPLICIT_LITTLE, Matcher
from .search import Options

LOGGER = logging.getLogger("dimsefast.archive")

MODEL: Final = str(sop_class.ModalityWorklistInformationFind)
_SUFFIXES: Final = (".dcm", ".wl", ".json")
#: Items that are matched in one go.
_BATCH: Final = 256

#: What tells whether a file has changed: time and length.
_Stamp = tuple[int, int]


class Worklist:
    """The items in a folder and the folders below it.

    The files are looked at anew at each query; those that have changed are read again. A file that cannot be read is
    logged once, and skipped.

    Args:
        folder: the folder. It may be made, and filled, later.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._known: dict[str, tuple[_Stamp, list[bytes]]] = {}
        self._lock = threading.Lock()

    def items(self) -> list[bytes]:
        """The items, encoded in Explicit VR Little Endian, by the names of their files."""
        with self._lock:
            known: dict[str, tuple[_Stamp, list[bytes]]] = {}
            for path in self._paths():
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue
                stamp, name = (status.st_mtime_ns, status.st_size), str(path)
                before = self._known.get(name)
                known[name] = before if before is not None and before[0] == stamp else (stamp, self._read(path))
            self._known = known
            return [item for _, items in known.values() for item in items]

    def responses(
        self,
        identifier: Dataset | bytes,
        options: Options = Options(),  # noqa: B008 - nobody changes it
        *,
        local_timezone: str | None = None,
        transfer_syntax: str = EXPLICIT_LITTLE,
        response_syntax: str = EXPLICIT_LITTLE,
        is_cancelled: Callable[[], bool] = bool,
    ) -> Iterator[bytes]:
        """The encoded identifier of the response for each item that matches; see `Matcher`.

        `transfer_syntax` is that of an identifier in bytes, `response_syntax` that of the responses. Raises ValueError
        for bytes that are no identifier.
        """
        matcher = Matcher(
            identifier,
            MODEL,
            fuzzy=options.fuzzy,
            timezone=options.timezone,
            local_timezone=local_timezone,
            transfer_syntax=transfer_syntax,
        )
        items = self.items()
        for first in range(0, len(items), _BATCH):
            if is_cancelled():
                return
            answers = matcher.answers(items[first : first + _BATCH], response_syntax)
            yield from (answer for answer in answers if answer is not None)

    def _paths(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())

    def _read(self, path: Path) -> list[bytes]:
        try:
            datasets = _from_json(path) if path.suffix.lower() == ".json" else [dcmread(path, force=True)]
            items = []
            for dataset in datasets:
                if "ScheduledProcedureStepSequence" not in dataset:
                    raise ValueError("it has no Scheduled Procedure Step Sequence (0040,0100)")
                items.append(encode_dataset(dataset, EXPLICIT_LITTLE))
            return items
        except Exception as error:
            # pydicom has many ways to say that it cannot read something.
            LOGGER.error("%s is no worklist item and left out: %s", path, error)
            return []


def _from_json(path: Path) -> list[Dataset]:
    """The datasets of a file in the DICOM JSON model (PS3.18 F): an object, or an array of them."""
    found: Any = json.loads(path.read_text(encoding="utf-8"))
    datasets = [Dataset.from_json(item) for item in (found if isinstance(found, list) else [found])]
    for dataset in datasets:
        # PS3.18 F.2: the text is Unicode, whatever it was before.
        dataset.SpecificCharacterSet = "ISO_IR 192"
    return datasets
