"""The command line, as a program: what it writes, and its exit status."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dimsefast
import pytest
from certificates import Certificates
from dimsefast import AE, Client, Receiver, build_context, evt, presentation, sop_class
from dimsefast import Archive as ServedArchive
from dimsefast.cli.keys import identifier
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import provider as example

CT, MR = (Path(str(get_testdata_file(name))) for name in ("CT_small.dcm", "MR_small.dcm"))
CT_STUDY, CT_UID = str(dcmread(CT).StudyInstanceUID), str(dcmread(CT).SOPInstanceUID)


class Archive:
    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        for file in (CT, MR):
            shutil.copy(file, folder)
        self.folder, self.holdings = folder, example.Holdings(folder)
        self.destinations: dict[str, tuple[str, int]] = {}
        self.stored = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.ae = AE("ARCHIVE")
        self.ae.require_called_aet = True
        for context in presentation.VerificationPresentationContexts + presentation.QueryRetrievePresentationContexts:
            self.ae.add_supported_context(context.abstract_syntax)
        for context in presentation.AllStoragePresentationContexts:
            self.ae.add_supported_context(context.abstract_syntax, presentation.ALL_TRANSFER_SYNTAXES, True, True)
        self.status = 0x0000
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, example.on_find, [self.holdings]),
            (evt.EVT_C_GET, example.sub_operations, [self.holdings]),
            (evt.EVT_C_MOVE, example.on_move, [self.holdings, self.destinations]),
        ]
        self.server: Any = self.ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, store_to=folder)
        self.name = f"ARCHIVE@127.0.0.1:{self.server.port}"

    def _store(self, event: Any) -> int:
        self.stored.set()
        self.go_on.wait(30)
        return self.status


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    made = Archive(tmp_path / "archive")
    yield made
    made.go_on.set()
    made.ae.shutdown()


def run(*arguments: Any, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dimsefast", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr
    return done


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, *arguments: Any) -> None:
        self.output = b""
        self.pid, self._end = pty.fork()
        if self.pid == 0:
            environment = {**os.environ, "COLUMNS": "150", "LINES": "40", "TERM": "xterm"}
            os.execve(sys.executable, [sys.executable, "-m", "dimsefast", *map(str, arguments)], environment)

    def read_until(self, words: bytes) -> None:
        while words not in self.output:
            piece = self._read()
            assert piece, self.output
            self.output += piece

    def _read(self) -> bytes:
        try:
            return os.read(self._end, 65536)
        except OSError:  # the other end is closed
            return b""

    def finish(self) -> int:
        while piece := self._read():
            self.output += piece
        os.close(self._end)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_help_is_there_for_everything() -> None:
    text = run("--help").stdout
    for name in ("echo", "find", "move", "get", "store", "receive"):
        assert name in text
        shown = run(name, "--help").stdout
        assert f"dimsefast {name}" in shown and "-aet" in shown
    assert run("-V").stdout == f"dimsefast {dimsefast.__version__}\n"
    assert "Commands:" in run(status=2).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["echo"], "Missing argument"),
        (["echo", "host:104"], "AET@host:port"),
        (["echo", "A@b:104", "--nothing"], "No such option"),
        (["nothing"], "No such command"),
        (["find", "A@b:104", "-k", "PatientIDD=1"], "did you mean PatientID"),
        (["find", "A@b:104", "-k", "StudyDate=yesterday"], "a date is written 20240131"),
        (["get", "A@b:104", "-k", "StudyTime=12h"], "a time is written 134500"),
        (["find", "A@b:104", "-k", "AcquisitionDateTime=now"], "a date and time is written"),
        (["find", "A@b:104", "-k", "patient_id=1"], "as DICOM has it"),
        (["find", "A@b:104", "-k", "PatientID.Modality=1"], "no sequence"),
        (["find", "A@b:104", "-L", "room"], "room"),
        (["echo", "A@b:104", "-aet", "A_TITLE_THAT_IS_TOO_LONG"], "16 characters"),
        (["receive", "port"], "host:port"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments: list[str], words: str) -> None:
    error = run(*arguments, status=2).stderr
    assert words in error
    assert len(error.splitlines()) == 1


def test_errors_are_one_line_that_names_the_peer(archive: Archive, tmp_path: Path) -> None:
    nobody = f"ARCHIVE@127.0.0.1:{free_port()}"
    for arguments in (["echo"], ["find"], ["store", CT], ["get", "-k", "StudyInstanceUID=1"]):
        error = run(arguments[0], nobody, *arguments[1:], status=1).stderr
        assert error.startswith(f"dimsefast: {nobody}: cannot be reached"), error
        assert len(error.splitlines()) == 1
    error = run("echo", archive.name, "-aec", "WRONG", status=1).stderr
    assert "check the called AE title" in error and "WRONG@" in error
    error = run("move", archive.name, "--to", "NOBODY", "-k", f"StudyInstanceUID={CT_STUDY}", status=1).stderr
    assert "ARCHIVE must know the AE NOBODY" in error
    assert "StudyInstanceUID" in run("get", archive.name, status=1).stderr
    assert "does not exist" in run("store", archive.name, tmp_path / "nowhere", status=1).stderr


def test_echo(archive: Archive) -> None:
    assert f"{archive.name} answers" in run("echo", archive.name).stdout
    rows = [json.loads(line) for line in run("echo", "--json", "--repeat", 2, archive.name).stdout.splitlines()]
    assert [row["ok"] for row in rows] == [True, True]


def test_find_in_every_form(archive: Archive) -> None:
    keys = ["-k", "PatientName=Comp*", "-k", "0020,000d"]
    assert CT_STUDY in run("find", archive.name, *keys, "-k", "PatientID=1CT1").stdout
    (row,) = (line.split("\t") for line in run("find", archive.name, "-k", "PatientID=1CT1").stdout.splitlines())
    assert row[0] == "1CT1"
    (line,) = run("find", archive.name, "-k", "PatientID=1CT1", "--json").stdout.splitlines()
    assert Dataset.from_json(line).StudyInstanceUID == CT_STUDY
    (found,) = csv.DictReader(io.StringIO(run("find", archive.name, "-k", "PatientID=1CT1", "--csv").stdout))
    assert found["StudyInstanceUID"] == CT_STUDY
    assert run("find", archive.name, "-L", "image", "-k", f"StudyInstanceUID={CT_STUDY}", status=1).stderr
    assert len(run("find", archive.name, "-P", "-L", "patient", "--limit", 1).stdout.splitlines()) == 1
    assert run("find", archive.name, "-k", "PatientID=nobody").stdout == ""


def test_find_shows_a_table_on_a_terminal(archive: Archive) -> None:
    terminal = Terminal("find", archive.name, "-k", "PatientID=1CT1")
    assert terminal.finish() == 0
    assert b"PatientName" in terminal.output and b"CompressedSamples^CT1" in terminal.output
    assert b"1 match" in terminal.output


def test_keys_become_identifiers() -> None:
    asked = identifier(["ScheduledProcedureStepSequence.Modality=CT", "PatientID=1"], None, "worklist", True)
    assert asked.ScheduledProcedureStepSequence[0].Modality == "CT"
    assert "ScheduledStationAETitle" in asked.ScheduledProcedureStepSequence[0]
    asked = identifier(["0010,0020=123", "SeriesInstanceUID=1.2\\1.3"], None, None, False)
    assert (asked.PatientID, asked.QueryRetrieveLevel) == ("123", "SERIES")
    assert list(asked.SeriesInstanceUID) == ["1.2", "1.3"]
    assert identifier(["Rows=512", "QueryRetrieveLevel=IMAGE"], None, None, False).Rows == 512


def test_a_patient_is_listed_by_its_studies_and_retrieved_as_a_whole() -> None:
    assert identifier(["PatientID=1"], None, None, returning=True).QueryRetrieveLevel == "STUDY"
    assert identifier(["PatientID=1"], None, None, returning=False).QueryRetrieveLevel == "PATIENT"
    # Study Root has no patients.
    assert identifier(["PatientID=1"], None, "study", returning=False).QueryRetrieveLevel == "STUDY"


def test_store(archive: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copy(CT, folder)
    (folder / "readme").write_text("no DICOM")
    done = run("store", archive.name, folder, MR)
    assert done.stdout.startswith(f"2 objects stored at {archive.name}, 1 skipped")
    found = json.loads(run("store", archive.name, folder, "--json", "--skip-existing").stdout)
    assert (found["ok"], found["completed"], found["existing"]) == (True, 0, 1)
    assert "no DICOM objects" in run("store", archive.name, folder / "readme", status=1).stdout
    archive.status = 0xA700
    done = run("store", archive.name, CT, status=1)
    assert "out of resources" in done.stderr and "1 failed" in done.stdout


def test_get_and_skip_what_is_there(archive: Archive, tmp_path: Path) -> None:
    arguments = ["get", archive.name, "-k", f"StudyInstanceUID={CT_STUDY}", "-od", tmp_path / "in"]
    assert run(*arguments).stdout.startswith("1 object from ARCHIVE@")
    assert [file.name for file in (tmp_path / "in").iterdir()] == [f"{CT_UID}.dcm"]
    found = json.loads(run(*arguments, "--skip-existing", "--json").stdout)
    assert (found["ok"], found["received"], found["existing"]) == (True, 0, 1)


def test_get_all_of_a_patient_and_of_no_other(tmp_path: Path) -> None:
    unknown = dcmread(MR)
    unknown.PatientID = ""
    with ServedArchive(tmp_path / "archive") as served:
        assert all(result.status == 0 for result in served.add([CT, unknown]))
        server = served.serve(("127.0.0.1", 0), block=False)
        assert server is not None
        peer = "ARCHIVE@{}:{}".format(*server.address)
        try:
            arguments = ["get", peer, "-k", "PatientID=1CT1", "--skip-existing", "-od", tmp_path / "in"]
            assert run(*arguments).stdout.startswith("1 object from ARCHIVE@")
            assert [file.name for file in (tmp_path / "in").iterdir()] == [f"{CT_UID}.dcm"]
            error = run("move", peer, "-k", "StudyDate=20240101", "--to", "OTHER", status=1).stderr
            assert "StudyInstanceUID needs a value" in error and "destination" not in error
        finally:
            server.shutdown()


def test_move_receives_what_it_asked_for(archive: Archive, tmp_path: Path) -> None:
    port = free_port()
    archive.destinations["WORKSTATION"] = ("127.0.0.1", port)
    arguments = ["move", archive.name, "-aet", "WORKSTATION", "--listen", f"127.0.0.1:{port}"]
    arguments += ["-k", f"StudyInstanceUID={CT_STUDY}", "-od", tmp_path / "in", "--json"]
    found = json.loads(run(*arguments).stdout)
    assert (found["ok"], found["received"]) == (True, 1)
    assert (tmp_path / "in" / f"{CT_UID}.dcm").exists()
    with Receiver("OTHER", f"127.0.0.1:{port}"):
        error = run(*arguments, status=1).stderr
    assert f"cannot listen at 127.0.0.1:{port}" in error and len(error.splitlines()) == 1


def test_receive_until_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dimsefast", "receive", "127.0.0.1:0", "-od", str(tmp_path / "in"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        listening = json.loads(process.stdout.readline())["listening"]
        with Client(f"DIMSEFAST@{listening}") as client:
            assert client.store([CT, MR]).completed == 2
        rows = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert Path(rows[0]["path"]).exists()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert "2 objects received" in process.stderr.read()
    assert len(list((tmp_path / "in").iterdir())) == 2


def test_ctrl_c_in_a_store_shows_how_far_it_was(archive: Archive) -> None:
    archive.go_on.clear()
    terminal = Terminal("store", archive.name, CT, MR)
    terminal.read_until(b"0/2")
    assert archive.stored.wait(30)
    os.kill(terminal.pid, signal.SIGINT)
    archive.go_on.set()
    assert terminal.finish() == 130
    assert b"interrupted: 0 of 2 objects stored" in terminal.output
    with AE().connect(
        "127.0.0.1", archive.server.port, contexts=[build_context(sop_class.Verification)], ae_title="ARCHIVE"
    ) as assoc:
        assert assoc.send_c_echo().Status == 0


# TLS


def test_tls(tmp_path: Path) -> None:
    hospital = Certificates(tmp_path / "certificates")
    ca = ["--tls-ca", hospital.ca]
    options = [*ca, "--tls-certificate", hospital.issue("node")[0], "--tls-key", hospital.folder / "node.key"]
    with Receiver("STORE", "127.0.0.1:0", tmp_path / "in", tls=hospital.tls("receiver")) as receiver:
        peer = f"STORE@{receiver.address}"
        assert "answers" in run("echo", "--tls", *options, peer).stdout
        # Any option of TLS switches it on.
        assert "answers" in run("echo", *options, "--tls-profile", "non-downgrading", peer).stdout
        run("store", "--tls", *options, peer, CT)
        assert (tmp_path / "in" / f"{CT_UID}.dcm").exists()
        done = run("echo", "--tls", *ca, peer, status=1)
        assert done.stderr.count("\n") == 1 and "requires a certificate of ours" in done.stderr
        assert "the peer speaks TLS" in run("echo", peer, status=1).stderr
        assert "finite-field" in run("echo", *options, "--tls-profile", "extended", peer, status=2).stderr
        assert "belong together" in run("echo", *ca, "--tls-key", hospital.folder / "node.key", peer, status=2).stderr
        assert "does not exist" in run("echo", "--tls-ca", tmp_path / "missing", peer, status=2).stderr
        stranger = Certificates(tmp_path / "other", "Elsewhere").ca
        assert "no CA that is trusted" in run("echo", "--tls-ca", stranger, peer, status=1).stderr
        assert "answers" in run("echo", *options, "--tls-verify", "require", "--tls-any-name", peer).stdout


def test_receive_by_tls(tmp_path: Path) -> None:
    hospital = Certificates(tmp_path / "certificates")
    certificate, key = hospital.issue("receiver")
    options = ["--tls-ca", hospital.ca, "--tls-certificate", certificate, "--tls-key", key]
    command = [sys.executable, "-m", "dimsefast", "receive", "127.0.0.1:0", "-od", tmp_path / "in", "--json", *options]
    with subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True) as receiving:
        assert receiving.stdout is not None
        address = json.loads(receiving.stdout.readline())["listening"]
        with Client(f"STORE@{address}", tls=hospital.tls("sender")) as client:
            assert client.store(CT).ok
        assert json.loads(receiving.stdout.readline())["sop_instance_uid"] == CT_UID
        receiving.send_signal(signal.SIGINT)
        assert receiving.wait(30) == 130
