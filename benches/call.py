"""A blocking requestor of dimsefast in a process of its own. Prints what it did and what that took, as JSON.

python benches/call.py [--tls=CERTIFICATES] PORT CALL

store FOLDER COUNT | echo N | associate N CONTEXTS | find N raw|unread|read | move [UID]

Seconds and CPU seconds begin when the association is there: those of `associate` before it is.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import secured
from dimsefast import AE, build_context
from dimsefast.dataset import encode_dataset
from objects import PATIENT, SERIES, STUDY
from process import forget_peak, own_memory
from pydicom import Dataset
from serve import CT, EXPLICIT, FIND, MOVE, VERIFICATION


@contextmanager
def associated(port: int, *contexts: Any) -> Iterator[Any]:
    tls, _ = secured.chosen(sys.argv[1:])
    with AE("CALLER").connect("127.0.0.1", port, ae_title="ARCHIVE", contexts=list(contexts), tls=tls) as assoc:
        yield assoc


def measured(work: Callable[[], int]) -> dict[str, float]:
    """The work gives its count."""
    forget_peak()
    idle, _ = own_memory()
    begin, cpu = time.perf_counter(), time.process_time()
    count = work()
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    return {"count": count, "seconds": seconds, "cpu": cpu, "memory": own_memory()[1] - idle}


def store_all(assoc: Any, paths: list[Path]) -> int:
    if hasattr(assoc, "store"):
        statuses = (result.status for result in assoc.store(paths))
    else:
        statuses = (assoc.send_c_store(path).Status for path in paths)
    return sum(1 for status in statuses if status == 0x0000)


def store(port: int, folder: str, count: str) -> dict[str, float]:
    paths = sorted(Path(folder).iterdir())[: int(count)]
    with associated(port, build_context(CT, EXPLICIT)) as assoc:
        return measured(lambda: store_all(assoc, paths))


def echo(port: int, count: str) -> dict[str, float]:
    with associated(port, build_context(VERIFICATION, EXPLICIT)) as assoc:
        return measured(lambda: sum(1 for _ in range(int(count)) if assoc.send_c_echo().Status == 0))


def associate(port: int, count: str, number: str) -> dict[str, float]:
    contexts = [build_context(VERIFICATION, EXPLICIT)]
    contexts += [build_context(CT, EXPLICIT) for _ in range(int(number) - 1)]

    def once() -> int:
        with associated(port, *contexts) as assoc:
            return int(assoc.send_c_echo().Status == 0)

    return measured(lambda: sum(once() for _ in range(int(count))))


def query(level: str, **keys: str) -> Dataset:
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return dataset


def find(port: int, count: str, how: str) -> dict[str, float]:
    """Counts Pending responses."""
    wanted = query("IMAGE", PatientID=count)

    def raw() -> int:
        encoded = encode_dataset(wanted, EXPLICIT)
        return sum(1 for _, identifier in assoc.find(encoded, FIND, raw=True) if identifier)

    def unread() -> int:
        return sum(1 for status, _ in assoc.send_c_find(wanted, FIND) if status.Status == 0xFF00)

    def read() -> int:
        found = 0
        for _, identifier in assoc.send_c_find(wanted, FIND):
            if identifier is not None and identifier.PatientName and identifier.SOPInstanceUID:
                found += 1
        return found

    with associated(port, build_context(FIND, EXPLICIT)) as assoc:
        return measured({"raw": raw, "unread": unread, "read": read}[how])


def move(port: int, *instance: str) -> dict[str, float]:
    """The patient's objects, or one of them, to the AE that every provider knows as DEST."""
    wanted = query("PATIENT", PatientID=PATIENT)
    if instance:
        keys = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "SOPInstanceUID": instance[0]}
        wanted = query("IMAGE", PatientID=PATIENT, **keys)

    def work() -> int:
        *_, (status, _) = assoc.send_c_move(wanted, "DEST", MOVE)
        return int(status.NumberOfCompletedSuboperations) if status.Status == 0x0000 else 0

    with associated(port, build_context(MOVE, EXPLICIT)) as assoc:
        return measured(work)


def main() -> None:
    calls: dict[str, Callable[..., dict[str, float]]] = {
        call.__name__: call for call in (store, echo, associate, find, move)
    }
    _, (port, name, *arguments) = secured.chosen(sys.argv[1:])
    print(json.dumps(calls[name](int(port), *arguments)))


if __name__ == "__main__":
    main()
