"""Where an archive keeps Modality Performed Procedure Steps: a DICOM file for each.

Nothing is kept in the index, which can be made anew from the objects. A step is read when it is asked for.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from .. import _core
from ..dataset import decode_dataset, encode_dataset
from ..matching import EXPLICIT_LITTLE
from ..presentation import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from ..workflow import Refusal
from ..workflow.mpps_operations import MPPS
from .errors import ArchiveError

LOGGER = logging.getLogger("dimsefast.archive")

#: PS3.7 C.5: invalid SOP Instance, resource limitation.
_INVALID_INSTANCE, _RESOURCE_LIMITATION = 0x0117, 0x0213

#: PS3.5 9.1, but for leading zeros, which many writers have. Such a UID is its own name in a layout.
_UID: Final = re.compile(r"(?=.{1,64}\Z)[0-9]+(?:\.[0-9]+)*", re.ASCII)


class StepStore:
    """Steps in a folder, for `MppsProvider`: a file each, `<two hexadecimal digits of a hash>/<SOP Instance UID>.dcm`.

    A new state is written beside the one before and renamed over it, so that at each moment there is one, and whole.

    Args:
        folder: the folder, which is there.
        fsync: whether a state is on the disk when `put` returns.

    Raises OSError where the folder cannot be used.
    """

    def __init__(self, folder: Path, fsync: bool) -> None:
        _core.remove_leftovers(folder)
        self.folder = folder
        layout = _core.Layout("{SOPInstanceUID.hash}/{SOPInstanceUID}.dcm", "unknown", lambda _: None)
        self._plan = _core.StorePlan.folder(
            folder, layout, [], "replace", fsync, str(IMPLEMENTATION_UID), IMPLEMENTATION_VERSION
        )

    def path(self, sop_instance: str) -> Path:
        """The file of a step. Raises ValueError for what is no UID, and could lead elsewhere."""
        if not _UID.fullmatch(sop_instance):
            raise ValueError(f"{sop_instance!r} is no UID")
        return self.folder / _core.uid_hash(sop_instance) / f"{sop_instance}.dcm"

    def get(self, sop_instance: str) -> Dataset | None:
        """The step in its latest state; None where there is none. Raises ArchiveError where it cannot be read."""
        try:
            path = self.path(sop_instance)
        except ValueError:
            return None
        try:
            data = path.read_bytes()
            _, _, transfer_syntax, offset = _core.parse_file_meta(data)
            return decode_dataset(data[offset:], transfer_syntax)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ArchiveError(f"the performed procedure step {path} cannot be read: {error}") from error

    def put(self, sop_instance: str, dataset: Dataset) -> None:
        """Keeps a new step, or a new state of one.

        Raises Refusal where it cannot be kept: 0117H for what is no UID, 0213H where the folder cannot be written to.
        """
        try:
            self.path(sop_instance)
        except ValueError as error:
            raise Refusal(_INVALID_INSTANCE, str(error)) from None
        encoded = encode_dataset(dataset, EXPLICIT_LITTLE)
        try:
            _core.import_object(self._plan, MPPS, sop_instance, EXPLICIT_LITTLE, path=None, offset=0, dataset=encoded)
        except OSError as error:
            LOGGER.error("the performed procedure step %s cannot be kept in %s: %s", sop_instance, self.folder, error)
            raise Refusal(_RESOURCE_LIMITATION, "the step cannot be written to the disk") from error
