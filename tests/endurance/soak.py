"""`make soak`: full load for a long time, and no growth of memory, threads or descriptors."""

from __future__ import annotations

import argparse
import threading
import time

from dimsefast import AE
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset

from tests.conformance.pdus import NAMES

from .measure import Receiver, Usage, receiver

SENDERS = 4
#: Growth after the first quarter that is no leak, in bytes.
TOLERATED = 16 << 20


def make_object(length: int) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.PatientID = NAMES["ct"], "1.2.3.4", "1"
    dataset.add_new(0x7FE00010, "OW", bytes(length))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = NAMES["explicit"]
    return dataset


def send(target: Receiver, over: threading.Event, counts: list[int], failures: list[str]) -> None:
    """Associations with an echo and some objects each, one after the other; every tenth is aborted."""
    objects = [make_object(length) for length in (1000, 500_000)]
    ae = AE("SENDER")
    for name in ("verification", "ct"):
        ae.add_requested_context(NAMES[name])
    number = 0
    while not over.is_set():
        number += 1
        try:
            with ae.connect("127.0.0.1", target.port) as association:
                assert association.send_c_echo().Status == 0x0000
                for _ in range(20):
                    for dataset in objects:
                        assert association.send_c_store(dataset).Status == 0x0000
                        counts[0] += 1
                if number % 10 == 0:
                    association.abort()
        except Exception as error:
            failures.append(repr(error))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.endurance.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    seconds = parser.parse_args().seconds
    over = threading.Event()
    counts, failures = [0], []  # type: ignore[var-annotated]
    with receiver(100, 60) as target:
        arguments = (target, over, counts, failures)
        threads = [threading.Thread(target=send, args=arguments) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        begin, usages = time.monotonic(), list[Usage]()
        while not failures and (elapsed := time.monotonic() - begin) < seconds:
            time.sleep(min(max(seconds / 20, 1), seconds))
            usages.append(target.usage())
            print(f"{elapsed:6.0f} s: {counts[0]} objects; {usages[-1]}", flush=True)
        over.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[:3]
    early, late = usages[: max(len(usages) // 4, 1)], usages[-max(len(usages) // 4, 1) :]
    grown = max(usage.resident for usage in late) - max(usage.resident for usage in early)
    print(f"{counts[0]} objects; resident memory {grown / 1e6:+.1f} MB between the first and the last quarter")
    assert grown < TOLERATED, "memory does not grow"
    assert max(usage.threads for usage in late) <= max(usage.threads for usage in early) + 4, "threads do not grow"
    assert max(usage.descriptors for usage in late) <= max(usage.descriptors for usage in early) + 8


if __name__ == "__main__":
    main()
