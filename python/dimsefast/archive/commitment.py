"""What an archive commits to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select

from ..workflow import Reference
from .lookup import CHUNK
from .schema import instance

if TYPE_CHECKING:
    from .archive import Archive

LOGGER = logging.getLogger("dimsefast.archive")


def held(archive: Archive, references: Sequence[Reference]) -> dict[str, str]:
    """Those of the references that the archive holds, as `StorageCommitmentProvider` asks: SOP Class by SOP Instance.

    What was acknowledged before this call counts; an object without its file does not, which is logged. It means what
    an acknowledged C-STORE means: with durability "process" that the object survives the end of the process, with
    "power" that of the machine as well. Raises IndexBehind where what was acknowledged is not indexed in time,
    ArchiveError where the index cannot be read.
    """
    archive.up_to_date()
    wanted = list({reference.sop_instance for reference in references})
    columns = (instance.c.sop_instance_uid, instance.c.sop_class_uid, instance.c.name)
    found: dict[str, str] = {}
    for first in range(0, len(wanted), CHUNK):
        chunk = wanted[first : first + CHUNK]
        with archive.database.reading() as connection:
            rows = connection.execute(select(*columns).where(instance.c.sop_instance_uid.in_(chunk))).all()
        for sop_instance, sop_class, name in rows:
            if archive.storage.exists(name):
                # A class that is no UID is equal to none.
                found[sop_instance] = sop_class or ""
            else:
                path = archive.storage.path(name)
                LOGGER.error("the file %s of the archive, which the index has, is not there: it is not committed", path)
    return found
