"""The objects that are sent: made once a run, on tmpfs where there is one, from pydicom's CT_small.dcm.

New files on a disk's file system cost so much, and so unevenly, that they would be all that is measured.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import UID

#: What all objects have in common, as CT_small.dcm has it.
PATIENT = "1CT1"
STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
SERIES = "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322"
#: All of one length, so that one encoded object is the template of all.
INSTANCE = "1.2.826.0.1.3680043.8.498.1{:06}"
#: Elements of a small object, its pixel data included.
SMALL_ELEMENTS = 119


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    ct: int = 500
    small: int = 2000
    #: For the slowest peers, which would take minutes for all.
    few: int = 50
    #: Bytes of the large object.
    large: int = 1 << 30
    responses: int = 10_000
    echoes: int = 10_000
    associations: int = 1000
    idle_seconds: float = 5


QUICK = Sizes(
    ct=20,
    small=200,
    few=10,
    large=1 << 26,
    responses=1000,
    echoes=500,
    associations=50,
    idle_seconds=1,
)


class Objects(NamedTuple):
    """Files in a folder of their own, sorted."""

    folder: Path
    paths: list[Path]

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(path.stat().st_size for path in self.paths)


@dataclass(frozen=True)
class Setting:
    """Where a run works, with what, and how much."""

    work: Path
    floor: Path
    sizes: Sizes

    @cached_property
    def ct(self) -> Objects:
        """CT images of 512 by 512 pixels, 526 kB each."""
        dataset = ct_image()
        dataset.Rows = dataset.Columns = 512
        return self._make("ct", dataset, 512 * 512 * 2, range(self.sizes.ct))

    @cached_property
    def few(self) -> Objects:
        """The first of the CT images, by the same names."""
        return self._first("few", self.ct)

    @cached_property
    def few_small(self) -> Objects:
        """The first of the small objects."""
        return self._first("few_small", self.small)

    def _first(self, name: str, of: Objects) -> Objects:
        folder = self.work / name
        folder.mkdir()
        for path in of.paths[: self.sizes.few]:
            (folder / path.name).hardlink_to(path)
        return Objects(folder, sorted(folder.iterdir()))

    @cached_property
    def small(self) -> Objects:
        """Objects of about 4 kB."""
        dataset = ct_image()
        private = [element.tag for element in dataset if element.tag.is_private]
        for tag in private[SMALL_ELEMENTS - len(dataset) :]:
            del dataset[tag]
        dataset.Rows = dataset.Columns = 28
        return self._make("small", dataset, 28 * 28 * 2, range(100_000, 100_000 + self.sizes.small))

    @cached_property
    def large(self) -> Objects:
        """One object whose pixel data is a hole in the file."""
        dataset = ct_image()
        dataset.Rows = dataset.Columns = 16384
        found = self._make("large", dataset, 2, range(200_000, 200_001))
        with found.paths[0].open("r+b") as file:
            file.seek(-6, 2)
            file.write(self.sizes.large.to_bytes(4, "little"))
            file.truncate(file.tell() + self.sizes.large)
        return found

    def _make(self, name: str, dataset: Dataset, pixels: int, numbers: range) -> Objects:
        folder = self.work / name
        folder.mkdir()
        placeholder = UID(INSTANCE.format(0))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = placeholder
        dataset.PixelData = bytes(pixels)
        path = folder / "template"
        dataset.save_as(path)
        template = path.read_bytes()
        path.unlink()
        noise = random.Random(1).randbytes(pixels + len(numbers))
        for at, number in enumerate(numbers):
            head = template[:-pixels].replace(placeholder.encode(), INSTANCE.format(number).encode())
            (folder / f"{number:06}.dcm").write_bytes(head + noise[at : at + pixels])
        with self.scratch() as warm:
            # Memory that is touched for the first time is slow on a virtual machine: these files', and new ones'.
            shutil.copytree(folder, warm / name)
        return Objects(folder, sorted(folder.iterdir()))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A new folder that is gone afterwards."""
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            yield Path(folder)


def ct_image() -> Dataset:
    """A CT image without what stands behind its pixel data."""
    dataset = dcmread(str(get_testdata_file("CT_small.dcm")))
    del dataset[0xFFFCFFFC]
    return dataset


@contextmanager
def setting(floor: Path, sizes: Sizes) -> Iterator[Setting]:
    """A setting whose files are gone afterwards."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="dimsefast-bench-", dir=memory if memory.is_dir() else None) as work:
        yield Setting(Path(work), floor, sizes)
