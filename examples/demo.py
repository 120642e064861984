"""The main job on real files: echo, store, find, move and get between two processes, and a check of what came back.

make demo
"""

import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path

from dimsefast import AE, build_context, build_role, presentation, sop_class
from pydicom import Dataset, config, dcmread
from pydicom.data import get_charset_files, get_testdata_file, get_testdata_files
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

config.settings.reading_validation_mode = config.IGNORE
warnings.simplefilter("ignore", UserWarning)  # pydicom's, about the odd files that it ships for its tests

FIND = sop_class.PatientRootQueryRetrieveInformationModelFind
MOVE = sop_class.PatientRootQueryRetrieveInformationModelMove
GET = sop_class.PatientRootQueryRetrieveInformationModelGet
MOST_CONTEXTS = 128


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


def in_associations(pairs):
    """(class, transfer syntax) pairs, as many as fit into one association together with the services."""
    pairs = sorted(pairs)
    return [pairs[at : at + MOST_CONTEXTS - 4] for at in range(0, len(pairs), MOST_CONTEXTS - 4)]


def compare(what, chosen, folder, expected):
    """Whether each expected object is there, byte for byte behind the file meta group."""
    wrong = []
    for uid in expected:
        copy = folder / stored_name(chosen[uid][0])
        if not copy.exists():
            wrong.append(f"{chosen[uid][0].name}: did not arrive")
        elif dataset_bytes(copy) != dataset_bytes(chosen[uid][0]):
            wrong.append(f"{chosen[uid][0].name}: differs")
    print(f"  {what}: {len(expected) - len(wrong)} of {len(expected)} objects are byte-equal")
    for line in wrong:
        print(f"    {line}")
    return not wrong


def requestor(port, listen, chosen, work):
    ae = AE("SELF")
    for context in presentation.AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, presentation.ALL_TRANSFER_SYNTAXES)
    good = True

    with ae.connect("127.0.0.1", port, ae_title="PROVIDER", contexts=[build_context(sop_class.Verification)]) as assoc:
        started = time.perf_counter()
        status = assoc.send_c_echo()
        print(f"echo   {status.Status:04X}H in {1e6 * (time.perf_counter() - started):.0f} us")

    started, size, failed = time.perf_counter(), 0, []
    for pairs in in_associations({(cls, syntax) for _, cls, syntax, _ in chosen.values()}):
        contexts = [build_context(cls, [syntax]) for cls, syntax in pairs]
        with ae.connect("127.0.0.1", port, ae_title="PROVIDER", contexts=contexts) as assoc:
            for path, cls, syntax, _ in chosen.values():
                if (cls, syntax) in pairs:
                    status = assoc.send_c_store(path)
                    size += path.stat().st_size
                    if status.get("Status") != 0x0000:
                        failed.append(path.name)
    seconds = time.perf_counter() - started
    print(f"store  {len(chosen) - len(failed)} objects, {size / 1e6:.1f} MB in {seconds:.2f} s")
    good &= not failed

    query = Dataset()
    query.QueryRetrieveLevel = "PATIENT"
    query.PatientID = query.PatientName = query.PatientBirthDate = ""
    patients = []
    with ae.connect("127.0.0.1", port, ae_title="PROVIDER", contexts=[build_context(FIND)]) as assoc:
        for status, identifier in assoc.send_c_find(query, FIND):
            if identifier is not None:
                patients.append(identifier)
    print(f"find   {len(patients)} patients, final status {status.Status:04X}H")
    for identifier in patients[:12]:
        print(f"         {identifier.get('PatientID') or ''!s:16} {identifier.get('PatientName') or ''!s:40}")
    if len(patients) > 12:
        print(f"         ... and {len(patients) - 12} more")
    by_patient = defaultdict(list)
    for uid, (_, _, _, patient) in chosen.items():
        by_patient[patient].append(uid)
    good &= len(patients) == len(by_patient)

    everything = Dataset()
    everything.QueryRetrieveLevel = "PATIENT"
    everything.PatientID = "*"
    moved = work / "moved"
    moved.mkdir()
    with (
        ae.start_server(("127.0.0.1", listen), block=False, store_to=moved),
        ae.connect("127.0.0.1", port, ae_title="PROVIDER", contexts=[build_context(MOVE)]) as assoc,
    ):
        started, responses = time.perf_counter(), 0
        for status, _ in assoc.send_c_move(everything, "SELF", MOVE):
            responses += status.get("Status") == 0xFF00
            progress(f"move   {status.get('NumberOfCompletedSuboperations', 0)} of {len(chosen)}")
        seconds = time.perf_counter() - started
    print(
        f"move   {status.NumberOfCompletedSuboperations} completed, {status.NumberOfFailedSuboperations} failed, "
        f"{responses} pending responses, final status {status.Status:04X}H in {seconds:.2f} s"
    )
    good &= status.Status == 0x0000 and compare("moved", chosen, moved, list(chosen))

    got = work / "got"
    got.mkdir()
    started, statuses = time.perf_counter(), Counter()
    for pairs in in_associations({(cls, syntax) for _, cls, syntax, _ in chosen.values()}):
        contexts = [build_context(GET), *(build_context(cls, [syntax]) for cls, syntax in pairs)]
        roles = [build_role(cls, scp_role=True) for cls in sorted({cls for cls, _ in pairs})]
        with ae.connect(
            "127.0.0.1", port, ae_title="PROVIDER", contexts=contexts, ext_neg=roles, store_to=got
        ) as assoc:
            for status, _ in assoc.send_c_get(everything, GET):
                progress(f"get    {status.get('NumberOfCompletedSuboperations', 0)} of {len(chosen)}")
                if status.get("Status") != 0xFF00:
                    statuses[status.get("Status", 0)] += 1
    seconds = time.perf_counter() - started
    words = ", ".join(f"{code:04X}H" for code in statuses)
    print(f"get    {len(list(got.glob('*.dcm')))} objects, final status {words} in {seconds:.2f} s")
    good &= set(statuses) == {0x0000} and compare("got", chosen, got, list(chosen))
    return good


def progress(text):
    if sys.stdout.isatty():
        print(f"\r{text}\033[K\r", end="", flush=True)


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
        listen = free_port()
        command = [sys.executable, str(Path(__file__).with_name("provider.py")), str(work / "archive"), "--port", "0"]
        (work / "archive").mkdir()
        provider = subprocess.Popen(
            [*command, "--destination", f"SELF=127.0.0.1:{listen}"], stdout=subprocess.PIPE, text=True
        )
        try:
            line = next(line for line in provider.stdout if "listens on" in line)
            print(line.strip())
            port = int(line.split("127.0.0.1:")[1].split()[0])
            good = requestor(port, listen, chosen, work)
        finally:
            provider.send_signal(signal.SIGINT)
            provider.wait(timeout=10)
    print("all good" if good else "NOT all good")
    return 0 if good else 1


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    assert get_testdata_file("CT_small.dcm"), "pydicom's test files are not installed"
    sys.exit(main())
