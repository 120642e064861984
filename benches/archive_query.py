"""What queries of an archive take, beside dcmqrscp and Orthanc.

python benches/archive_query.py [--rounds N] [--instances N] [--kept FOLDER] [--floor PROGRAM]

Image-level C-FIND of 10,000 matches (2,000 small objects, asked five times), the archives in turn in each round;
then an index of a million instances: the first response of selective queries, and rate and memory of a query for all.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from archive_million import INSTANCES, UID, filled, whole_patients
from archive_million import SERIES as SERIES_OF_STUDY
from archives import NOWHERE, dcmqrscp, orthanc
from dimsefast import AE, Archive, build_context, query, sop_class
from dimsefast.dataset import encode_dataset
from dimsefast.negotiation import SOPClassExtendedNegotiation
from objects import SERIES, STUDY, Setting, Sizes, setting
from process import Failed, Server, Unavailable
from pydicom import Dataset

FIND = sop_class.StudyRootQueryRetrieveInformationModelFind
IMPLICIT = "1.2.840.10008.1.2"
OBJECTS, TIMES = 2000, 5
FLOOR = Path(__file__).parent / "floor" / "target" / "release" / "floor"


def serve(folder: str) -> None:
    """The archive in a process of its own, until standard input ends."""
    with Archive(folder) as archive:
        server = archive.serve(("127.0.0.1", 0), block=False)
        assert server is not None
        with server:
            print(server.port, flush=True)
            sys.stdin.read()


def own(run: Setting, folder: Path) -> Server:
    """Ours, of an archive that is there."""
    return Server([sys.executable, __file__, "serve", folder], run.work)


def asked(
    port: int, identifier: Dataset, times: int = 1, watch: Callable[[], object] = bool
) -> tuple[int, float, float]:
    """Matches, seconds for all, and seconds until the first one (of the last time), over one association.

    `watch` is called now and then.
    """
    relational = SOPClassExtendedNegotiation()
    relational.sop_class_uid, relational.service_class_application_information = FIND, b"\1"
    encoded, count, first = encode_dataset(identifier, IMPLICIT), 0, 0.0
    contexts = [build_context(FIND, IMPLICIT)]
    ae = AE("BENCH")
    ae.dimse_timeout = 120
    with ae.connect("127.0.0.1", port, ae_title="ARCHIVE", contexts=contexts, ext_neg=[relational]) as assoc:
        begin = time.perf_counter()
        for _ in range(times):
            asking, first = time.perf_counter(), 0.0
            for status, match in assoc.find(encoded, FIND, raw=True):
                first = first or time.perf_counter() - asking
                count += match is not None
                if count % 20_000 == 0:
                    watch()
                if status not in (0xFF00, 0xFF01, 0):
                    raise Failed("a query was not answered" if status is None else f"a query ended with {status:04X}H")
        return count, time.perf_counter() - begin, first


def beside_others(run: Setting, rounds: int) -> None:
    """Responses a second."""
    objects = run.small
    folder = run.work / "archive"
    with Archive(folder) as archive:
        assert all(result.status == 0 for result in archive.add(objects.paths))
    kinds: dict[str, Callable[[Path], Server]] = {
        "dimsefast": lambda _: own(run, folder),
        "dcmqrscp": lambda scratch: dcmqrscp(run, scratch, objects, NOWHERE),
        "Orthanc": lambda scratch: orthanc(run, scratch, objects, NOWHERE),
    }
    keys = query.image(StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES)
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    with ExitStack() as stack:
        servers = {}
        for name, start in kinds.items():
            try:
                servers[name] = stack.enter_context(start(stack.enter_context(run.scratch())))
            except (Unavailable, Failed) as problem:
                print(f"{name}: left out: {problem}")
        for _ in range(rounds):
            for name, server in servers.items():
                try:
                    count, seconds, _ = asked(server.port, keys, TIMES)
                except Failed as problem:
                    print(f"{name}: a round is left out: {problem}", flush=True)
                    continue
                if count != OBJECTS * TIMES:
                    raise Failed(f"{name} found {count} of {OBJECTS * TIMES}")
                rates[name].append(count / seconds)
    for name, found in rates.items():
        if found:
            print(
                f"{name:10} {statistics.median(found):10,.0f} responses/s ({min(found):,.0f} to {max(found):,.0f})",
                flush=True,
            )


def over_many(run: Setting, instances: int, kept: Path | None) -> None:
    """An index of that many."""
    folder = run.work / "million"
    print(f"an index of {instances:,} instances, {filled(folder, instances, kept)}", flush=True)
    number = instances // (SERIES_OF_STUDY * INSTANCES) // 2
    study, series = UID.format(kind=2, number=number), UID.format(kind=3, number=SERIES_OF_STUDY * number)
    selective: dict[str, Dataset] = {
        "study by UID": query.study(StudyInstanceUID=study),
        "studies of a patient": query.study(PatientID=f"P{number:09}"),
        "study by accession number": query.study(AccessionNumber=f"A{number:09}"),
        "studies by name": query.study(PatientName=f"FAMILY{number:07}*"),
        "series of a study": query.series(StudyInstanceUID=study),
        "images of a series": query.image(StudyInstanceUID=study, SeriesInstanceUID=series),
        "image by UID": query.image(SOPInstanceUID=UID.format(kind=4, number=instances // 2)),
        "images of a patient": query.image(PatientID=f"P{number:09}"),
    }
    with own(run, folder) as server:
        asked(server.port, query.study(StudyInstanceUID="1.2.3"))
        for name, keys in selective.items():
            answers: list[Any] = [asked(server.port, keys) for _ in range(5)]
            first, whole = (statistics.median(answer[at] for answer in answers) for at in (2, 1))
            if not answers[0][0]:
                raise Failed(f"{name}: nothing was found")
            print(f"{name:28} {answers[0][0]:6,} matches, first after {first * 1e3:6.2f} ms, all {whole * 1e3:6.2f} ms")
        before, seen = server.anonymous(), [0]
        count, seconds, first = asked(server.port, query.image(), watch=lambda: seen.append(server.anonymous()))
        print(f"everything: {count:,} in {seconds:.1f} s, {count / seconds:,.0f}/s, first after {first * 1e3:.2f} ms")
        print(f"memory of the server: {before / 1e6:.0f} MB before, at most {max(seen) / 1e6:.0f} MB meanwhile")


def main() -> None:
    """Measures, and prints."""
    if sys.argv[1:2] == ["serve"]:
        return serve(sys.argv[2])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--instances", type=whole_patients, default=1_000_000)
    parser.add_argument("--kept", type=Path, help="a folder where filled archives are kept and taken from")
    parser.add_argument("--floor", type=Path, default=FLOOR, help="the bare requestor, which fills Orthanc")
    arguments = parser.parse_args()
    with setting(arguments.floor, Sizes(small=OBJECTS)) as run:
        beside_others(run, arguments.rounds)
        over_many(run, arguments.instances, arguments.kept)
    return None


if __name__ == "__main__":
    main()
