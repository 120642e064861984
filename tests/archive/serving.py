"""Processes that receive into an archive, one after the other: for each folder that it is told it makes one.

python -m archive.serving DURABILITY, then folders in lines on its standard input. It prints the port and the process's
number when that serves, and "over" when it has ended, which it does when it is killed.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from dimsefast import AE
from dimsefast.archive import Archive
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian


def serve(folder: str, durability: Any) -> None:
    with Archive(folder, durability=durability) as archive:
        ae = AE("ARCHIVE")
        ae.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)
        server: Any = ae.start_server(("127.0.0.1", 0), block=False, store_to=archive.store_to)
        print(server.port, os.getpid(), flush=True)
        signal.pause()


def main() -> None:
    # What takes long is to begin with Python and its modules: that is done once.
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            serve(line.strip(), sys.argv[1])
        os.waitpid(child, 0)
        print("over", flush=True)


if __name__ == "__main__":
    main()
