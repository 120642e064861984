"""The main job on real files: an archive that is stored to, queried and retrieved from, and a check of what came back.

make demo
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from dimsefast import Client, query
from pydicom import config, dcmread
from pydicom.data import get_charset_files, get_testdata_file, get_testdata_files
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

config.settings.reading_validation_mode = config.IGNORE
warnings.simplefilter("ignore", UserWarning)  # pydicom's, about the odd files that it ships for its tests


def dataset_bytes(path):
    """Every byte behind the file meta group, and the transfer syntax."""
    with open(path, "rb") as file:
        header = dcmread(file, stop_before_pixels=True)
    data = Path(path).read_bytes()
    data = data[132 + 12 + header.file_meta.FileMetaInformationGroupLength :]
    # A fragment has an even length: an odd dataset (deflated, most often) travels with one NUL behind it (PS3.5 A.5).
    return data + b"\0" * (len(data) % 2), str(header.file_meta.TransferSyntaxUID)


def real_files():
    """One file for each SOP Instance UID, the first by path, and what was left out with the reason."""
    chosen, names, skipped = {}, {}, []
    for name in sorted({*get_testdata_files(), *get_charset_files("*")}):
        path = Path(name)
        if not path.is_file() or path.suffix in (".md", ".txt", ".json", ".xml", ".gz", ".zip", ".py"):
            continue
        try:
            header = dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, OSError, ValueError, NotImplementedError, EOFError, KeyError) as error:
            skipped.append((path, str(error).split(".")[0]))
            continue
        uid = header.get("SOPInstanceUID")
        meta = header.file_meta
        if not uid or not header.get("SOPClassUID"):
            skipped.append((path, "no SOP Class UID or SOP Instance UID"))
        elif not header.get("StudyInstanceUID"):
            skipped.append((path, "no Study Instance UID: no study to ask for"))
        elif not meta.get("TransferSyntaxUID") or "FileMetaInformationGroupLength" not in meta:
            skipped.append((path, "no transfer syntax in its file meta group"))
        elif str(uid) in chosen:
            skipped.append((path, f"the same instance as {chosen[str(uid)][0].name}"))
        elif (other := names.setdefault(str(meta.get("MediaStorageSOPInstanceUID", uid)), path)) != path:
            skipped.append((path, f"its file meta group says that it is {other.name}"))
        else:
            sop_class = str(meta.get("MediaStorageSOPClassUID", header.SOPClassUID))
            chosen[str(uid)] = (path, sop_class, str(meta.TransferSyntaxUID), str(header.get("PatientID", "")))
    return chosen, skipped


def stored_name(path):
    """The name of an object's file at a receiver: a sender of files names what the file meta group says."""
    return f"{dcmread(path, stop_before_pixels=True).file_meta.MediaStorageSOPInstanceUID}.dcm"


def compare(what, chosen, folder):
    """Whether each object is there, byte for byte behind the file meta group."""
    wrong = []
    for path, *_ in chosen.values():
        copy = folder / stored_name(path)
        if not copy.exists():
            wrong.append(f"{path.name}: did not arrive")
        elif dataset_bytes(copy) != dataset_bytes(path):
            wrong.append(f"{path.name}: differs")
    print(f"  {what}: {len(chosen) - len(wrong)} of {len(chosen)} objects are byte-equal")
    for line in wrong:
        print(f"    {line}")
    return not wrong


def everything(archive, listen, chosen, work):
    """Echo, store, find, move and get against a served archive; whether all came back as it was."""
    print(f"echo   answered in {1e6 * archive.echo():.0f} us")
    stored = archive.store([path for path, *_ in chosen.values()], progress=True)
    print(f"store  {stored}")

    patients = list(archive.find(query.patient()))
    print(f"find   {len(patients)} patients")
    for patient in patients[:8]:
        print(f"         {patient.get('PatientID') or '':16} {patient.get('PatientName') or ''!s:40}")
    studies = list(archive.find(query.study(["StudyInstanceUID", "NumberOfStudyRelatedInstances"])))
    counted = sum(int(study.NumberOfStudyRelatedInstances) for study in studies)
    print(f"find   {len(studies)} studies with {counted} objects")
    good = stored.ok and counted == len(chosen) and len(patients) == len({row[3] for row in chosen.values()})

    uids = sorted({study.StudyInstanceUID for study in studies})
    moved, third, got = (work / name for name in ("moved", "third", "got"))
    good &= each(uids, "move", lambda study: archive.move(study, receive=moved)) and compare("moved", chosen, moved)
    with receiver(listen["OTHER"], third):
        good &= each(uids, "move", lambda study: archive.move(study, to="OTHER"))
    good &= compare("moved to a third AE", chosen, third)
    good &= each(uids, "get", lambda study: archive.get(study, into=got)) and compare("got", chosen, got)
    return good


def each(uids, what, retrieve):
    """Retrieves study by study; whether that succeeded."""
    started, objects, failed = time.perf_counter(), 0, []
    for uid in uids:
        report = retrieve(query.study(study_instance_uid=uid))
        objects += report.completed
        failed += [] if report.ok else [report]
    print(f"{what:6} {objects} objects of {len(uids)} studies in {time.perf_counter() - started:.2f} s")
    for report in failed:
        print(f"    {report}")
    return not failed


@contextmanager
def program(*arguments):
    """A dimsefast program in a process of its own, with the JSON object that it begins with."""
    command = [sys.executable, "-m", "dimsefast", *map(str, arguments), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        # What it says of each object, if it does, is read, so that it never waits for us.
        process.communicate(timeout=60)


@contextmanager
def receiver(port, folder):
    with program("receive", f"127.0.0.1:{port}", "-aet", "OTHER", "-od", folder) as told:
        print(f"{told['ae_title']} listens at {told['listening']}")
        yield


def main():
    chosen, skipped = real_files()
    syntaxes = Counter(UID(syntax).name for _, _, syntax, _ in chosen.values())
    classes = Counter(UID(cls).name for _, cls, _, _ in chosen.values())
    print(f"{len(chosen)} real objects in {len(syntaxes)} transfer syntaxes and {len(classes)} SOP classes:")
    for name, count in syntaxes.most_common():
        print(f"  {count:4} {name}")
    print(f"{len(skipped)} files left out:")
    for path, reason in skipped:
        print(f"       {path.name}: {reason}")

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        listen = {title: free_port() for title in ("SELF", "OTHER")}
        destinations = [f"--destination={title}=127.0.0.1:{port}" for title, port in listen.items()]
        serve = ["serve", work / "archive", "--address", "127.0.0.1", "--port", 0, "--log-level", "warning"]
        with program(*serve, *destinations) as told:
            print(f"{told['ae_titles'][0]} listens at {told['listening']}, {told['instances']} objects")
            address = f"127.0.0.1:{listen['SELF']}"
            with Client(f"ARCHIVE@{told['listening']}", ae_title="SELF", listen=address) as archive:
                good = everything(archive, listen, chosen, work)
        with program(*serve) as told:
            print(f"started anew: {told['patients']} patients, {told['studies']} studies, {told['instances']} objects")
            good &= told["instances"] == len(chosen)
    print("all good" if good else "NOT all good")
    return 0 if good else 1


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    assert get_testdata_file("CT_small.dcm"), "pydicom's test files are not installed"
    sys.exit(main())
