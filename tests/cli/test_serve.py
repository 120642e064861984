"""`dimsefast serve` and `dimsefast reindex`, as a person uses them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from certificates import Certificates
from conftest import wait_until
from dimsefast import AE, AssociationRejected, Client, Receiver, StatusError, build_context, query
from dimsefast.sop_class import CTImageStorage, Verification
from prometheus_client.parser import text_string_to_metric_families
from pydicom import Dataset
from serving import LIMIT, Gate, Served, served
from test_cli import CT, CT_STUDY, CT_UID, MR, Terminal, free_port, run

SECRET = "CompressedSamples^CT1"


def filled(server: Served) -> None:
    run("store", server.name, CT, MR)


# The archive in one command


def test_what_is_stored_is_found_got_and_still_there_after_a_new_start(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    with served(folder) as server:
        assert server.held["folder"] == str(folder) and server.held["instances"] == 0
        filled(server)
        assert CT_STUDY in run("find", server.name, "-k", "PatientID=1CT1").stdout
        run("get", server.name, "-k", f"StudyInstanceUID={CT_STUDY}", "-od", tmp_path / "got")
        (copy,) = (tmp_path / "got").glob("*.dcm")
        assert copy.read_bytes()[-1000:] == CT.read_bytes()[-1000:]
    with served(folder) as server:
        assert (server.held["patients"], server.held["studies"], server.held["instances"]) == (2, 2, 2)
        assert CT_STUDY in run("find", server.name, "-k", "PatientID=1CT1").stdout


def test_a_move_to_a_destination_of_the_configuration(tmp_path: Path) -> None:
    listen = free_port()
    with served(tmp_path / "archive", "--destination", f"SELF=127.0.0.1:{listen},parallel_associations=2") as server:
        filled(server)
        more = ["-aet", "SELF", "--listen", f"127.0.0.1:{listen}", "-od", tmp_path / "moved", "--json"]
        report = json.loads(run("move", server.name, "-k", f"StudyInstanceUID={CT_STUDY}", *more).stdout)
        assert report["ok"] and report["completed"] == 1
        error = run("move", server.name, "-k", f"StudyInstanceUID={CT_STUDY}", "--to", "NOBODY", status=1).stderr
        assert "must know the AE NOBODY" in error


def test_tls_of_the_server_and_towards_destinations(tmp_path: Path) -> None:
    hospital = Certificates(tmp_path / "certificates")
    certificate, key = hospital.issue("archive")
    path = tmp_path / "serve.toml"
    path.write_text(
        f"[tls]\ncertificate = {str(certificate)!r}\nkey = {str(key)!r}\nca = {str(hospital.ca)!r}\n"
        '[network]\nproxy_protocol = ["192.0.2.0/24"]\n'
    )
    client = hospital.tls("modality")
    with Receiver("SELF", "127.0.0.1:0", tmp_path / "in", tls=client) as receiver:
        destinations = [
            "--destination",
            f"SELF={receiver.address},tls=true",
            "--destination",
            f"WRONG={receiver.address}",
        ]
        with served(tmp_path / "archive", "-c", path, *destinations) as server, Client(server.name, tls=client) as peer:
            assert peer.store([CT, MR]).ok
            assert peer.move(query.study(study_instance_uid=CT_STUDY), to="SELF").completed == 1
            assert (tmp_path / "in" / f"{CT_UID}.dcm").exists()
            with pytest.raises(StatusError):
                peer.move(query.study(study_instance_uid=CT_STUDY), to="WRONG")
            assert "the peer speaks TLS" in run("echo", server.name, status=1).stderr
            if (echoscu := shutil.which("echoscu")) is not None:
                secured = [
                    "+tls",
                    hospital.folder / "modality.key",
                    hospital.folder / "modality.pem",
                    "+cf",
                    hospital.ca,
                ]
                command = [echoscu, *map(str, secured), "-aec", "ARCHIVE", "127.0.0.1", str(server.port)]
                subprocess.run(command, check=True, timeout=LIMIT)


def test_a_load_balancer_names_the_peer(tmp_path: Path) -> None:
    with served(tmp_path / "archive", "--proxy-protocol", "127.0.0.0/8") as server:
        balancer = Gate(server.port, 1_000_000, b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 104\r\n")
        try:
            run("echo", f"ARCHIVE@127.0.0.1:{balancer.port}")
        finally:
            balancer.close()
        wait_until(lambda: "192.0.2.7" in server.log.read_text())


def test_several_titles_and_no_other(tmp_path: Path) -> None:
    with served(tmp_path / "archive", "-aet", "ONE", "-aet", "TWO") as server:
        run("echo", server.name)
        run("echo", server.name, "-aec", "TWO")
        assert "called AE title" in run("echo", server.name, "-aec", "THREE", status=1).stderr


def test_a_worklist_from_a_folder(tmp_path: Path) -> None:
    items = tmp_path / "items"
    items.mkdir()
    item = Dataset()
    item.PatientID, item.ScheduledProcedureStepSequence = "W1", [Dataset()]
    item.ScheduledProcedureStepSequence[0].Modality = "CT"
    with served(tmp_path / "archive", "--worklist", items) as server:
        assert run("find", server.name, "-W", "-k", "PatientID").stdout == ""
        (items / "one.json").write_text(json.dumps(item.to_json_dict()))
        assert "W1" in run("find", server.name, "-W", "-k", "PatientID").stdout


def test_a_query_with_too_many_matches_ends_with_a_status(tmp_path: Path) -> None:
    with served(tmp_path / "archive", "--maximum-matches", 1) as server:
        filled(server)
        assert CT_STUDY in run("find", server.name, "-k", "PatientID=1CT1").stdout
        done = run("find", server.name, status=1)
        assert len(done.stdout.splitlines()) == 1 and "A700H" in done.stderr


# The configuration


def test_the_printed_configuration_is_read_again(tmp_path: Path) -> None:
    flags = ["-aet", "ONE", "-p", 4242, "--access", "CT=echo,store", "--destination", "W=10.0.0.7:104", "--no-fuzzy"]
    text = run("serve", tmp_path / "archive", *flags, "--print-config").stdout
    assert 'ae_titles = ["ONE"]' in text and not (tmp_path / "archive").exists()
    path = tmp_path / "serve.toml"
    path.write_text(text)
    assert run("serve", "-c", path, "--print-config").stdout == text
    assert "port = 104\n" in run("serve", "-c", path, "-p", 104, "--print-config").stdout


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        (
            "[network]\nprot = 1\n",
            [],
            "serve.toml, line 2: [network] prot is no setting of this configuration: did you mean 'port'?",
        ),
        ("[network]\nport = 'x'\n", [], "serve.toml, line 2: [network] port is a whole number from 0 to 65535"),
        ("[network\n", [], "serve.toml is no TOML file"),
        ("", [], "where is the archive?"),
        ("", ["-p", "70000"], "port is a whole number from 0 to 65535, not 70000"),
        ("", ["-p", "high"], "'high' is not a valid integer"),
        ("", ["--access", "CT=look"], "'look' is none of them"),
        ("", ["--access-others", "look"], "'look' is none of them"),
        ("", ["--destination", "W"], "AET=host:port"),
        ("", ["-aet", "A_TITLE_THAT_IS_TOO_LONG"], "1 to 16 characters"),
        ("", ["--metrics", "9100"], "no address"),
    ],
)
def test_what_is_wrong_with_the_configuration_is_one_line(
    text: str, arguments: list[str], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(text)
    error = run("serve", "-c", path, *arguments, status=2).stderr
    assert words in error
    assert len(error.splitlines()) == 1


def test_what_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        common = ["serve", tmp_path / "archive", "--address", "127.0.0.1"]
        error = run(*common, "-p", port, status=1).stderr
        assert f"cannot listen on 127.0.0.1:{port}" in error and len(error.splitlines()) == 1
        error = run(*common, "-p", 0, "--metrics", f"127.0.0.1:{port}", status=1).stderr
        assert f"cannot listen on 127.0.0.1:{port} for metrics" in error and len(error.splitlines()) == 1
    assert "nowhere.toml" in run("serve", "-c", tmp_path / "nowhere.toml", status=1).stderr
    assert "no/where.log" in run(*common, "-p", 0, "--log-file", tmp_path / "no/where.log", status=1).stderr
    certificates = ["--tls-certificate", *Certificates(tmp_path / "certificates").issue("archive")]
    certificates.insert(2, "--tls-key")
    error = run(*common, "-p", 0, *certificates, status=1).stderr
    assert "[tls] ca is empty" in error and len(error.splitlines()) == 1
    assert "belong together" in run(*common, "-p", 0, *certificates[2:], "--tls-verify", "none", status=1).stderr
    assert "missing.pem" in run(*common, "-p", 0, *certificates, "--tls-ca", tmp_path / "missing.pem", status=1).stderr
    assert "[access] lets nobody do anything" in run(*common, "-p", 0, "--access-others", "", status=1).stderr
    (tmp_path / "file").write_text("x")
    error = run("serve", tmp_path / "file", "-p", 0, status=1).stderr
    assert str(tmp_path / "file") in error and len(error.splitlines()) == 1


def test_a_second_start_on_the_same_folder_says_who_has_it(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    with served(folder) as server:
        for command in (["serve", folder, "-p", 0], ["reindex", folder]):
            error = run(*command, status=1).stderr
            assert str(folder) in error and f"process {server.process.pid}" in error
            assert len(error.splitlines()) == 1
        run("echo", server.name)


# Signals


def test_ctrl_c_ends_it_with_status_130_and_says_what_was_done(tmp_path: Path) -> None:
    port = free_port()
    terminal = Terminal("serve", tmp_path / "archive", "--address", "127.0.0.1", "-p", port)
    terminal.read_until(b"0 objects")
    assert f"ARCHIVE listens at 127.0.0.1:{port}".encode() in terminal.output
    run("store", f"ARCHIVE@127.0.0.1:{port}", CT)
    os.kill(terminal.pid, signal.SIGINT)
    assert terminal.finish() == 130
    assert b"interrupted: 1 associations, 1 objects stored" in terminal.output


class Storing:
    """A C-STORE that is held up in its middle."""

    def __init__(self, server: Served) -> None:
        self.gate = Gate(server.port, 20_000)
        self.assoc = AE("MODALITY").connect(
            "127.0.0.1", self.gate.port, contexts=[build_context(CTImageStorage)], ae_title="ARCHIVE"
        )
        self.status: Any = None
        self.thread = threading.Thread(target=self._store)
        self.thread.start()
        assert self.gate.reached.wait(LIMIT)

    def _store(self) -> None:
        self.status = self.assoc.send_c_store(CT)

    def end(self) -> Any:
        self.gate.open()
        self.thread.join(LIMIT)
        self.assoc.release()
        self.gate.close()
        return self.status


def test_sigterm_lets_what_is_in_progress_finish(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    with served(folder, "--shutdown-timeout", 0, "--log-format", "json") as server:
        storing = Storing(server)
        idle = AE().connect("127.0.0.1", server.port, contexts=[build_context(Verification)], ae_title="ARCHIVE")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: idle.is_aborted, "the end of an association on which nothing happens")
        assert server.process.poll() is None and storing.assoc.is_established
        # Nobody else is let in.
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port), 5).close()
        assert storing.end().Status == 0
    with served(folder) as server:
        assert server.held["instances"] == 1


def test_a_second_signal_aborts_what_is_in_progress(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    with served(folder, "--shutdown-timeout", 0, "--log-format", "json", "--network-timeout", 0) as server:
        storing = Storing(server)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: any("stopping" in row["message"] for row in server.rows()), "the log to say so")
        assert server.end() == 0
        assert "Status" not in storing.end()
    with served(folder) as server:
        assert server.held["instances"] == 0


def test_who_does_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with served(tmp_path / "archive", "--shutdown-timeout", 1000, "--network-timeout", 1000) as server:
        assoc = AE().connect("127.0.0.1", server.port, contexts=[build_context(Verification)], ae_title="ARCHIVE")
        assert server.end() == 0
        wait_until(lambda: assoc.is_aborted)


def test_sighup_reads_destinations_and_access_anew(tmp_path: Path) -> None:
    path, listen = tmp_path / "serve.toml", free_port()
    path.write_text("")
    with served(tmp_path / "archive", "-c", path, "--log-format", "json") as server:
        filled(server)

        def reread(text: str, words: str) -> None:
            path.write_text(text)
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: any(words in row["message"] for row in server.rows()), words)

        ask = ["move", server.name, "-aet", "SELF", "-k", f"StudyInstanceUID={CT_STUDY}"]
        here = ["--listen", f"127.0.0.1:{listen}", "-od", tmp_path / "moved"]
        run(*ask, *here, status=1)
        reread(f'[destinations]\nSELF = "127.0.0.1:{listen}"\n', "those of the configuration now")
        run(*ask, *here)
        reread("[access]\nother = []\n", "line 2: [access] other is no setting")
        run("echo", server.name)
        reread(
            '[network]\nmaximum_pdu = 9000\n[access]\nothers = []\npeers.FRIEND = ["echo"]\n',
            "need a new start: [network]",
        )
        assert "does not know our AE title" in run("echo", server.name, status=1).stderr
        run("echo", server.name, "-aet", "FRIEND")


# Access


def test_each_peer_may_do_what_it_may(tmp_path: Path) -> None:
    access = ["--access-others", "echo", "--access", "CT=echo,store", "--access", "WS=find,get", "--access", "FOE="]
    with served(tmp_path / "archive", *access) as server:
        store = ["store", server.name, CT, "-aet"]
        find = ["find", server.name, "-k", "PatientID=1CT1", "-aet"]
        run(*store, "CT")
        run(*find, "CT", status=1)
        assert CT_STUDY in run(*find, "WS").stdout
        run(*store, "WS", status=1)
        run("get", server.name, "-k", f"StudyInstanceUID={CT_STUDY}", "-aet", "WS", "-od", tmp_path / "got")
        assert len(list((tmp_path / "got").glob("*.dcm"))) == 1
        run("echo", server.name, "-aet", "ANYBODY")
        run(*find, "ANYBODY", status=1)
        with pytest.raises(AssociationRejected):
            AE("FOE").connect("127.0.0.1", server.port, contexts=[build_context(Verification)], ae_title="ARCHIVE")


# Logs and metrics


@pytest.mark.parametrize("asked", [False, True])
def test_the_log_says_who_did_what_and_names_patients_only_where_asked(asked: bool, tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    more = ["--log-patient-data"] if asked else []
    with served(tmp_path / "archive", "--log-format", "json", "--log-file", log, *more) as server:
        filled(server)
        run("find", server.name, "-k", f"PatientName={SECRET}", "-aet", "ASKER")
        run("echo", server.name, "-aec", "WRONG", status=1)
        run("echo", server.name, "-aet", "E\x1b[31mVIL", status=2)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    for row in rows:
        assert row["ts"].endswith("Z") and row["level"] in ("info", "warning") and row["message"]
    (find,) = (row for row in rows if row.get("operation") == "C-FIND")
    expected = {"calling": "ASKER", "called": "ARCHIVE", "status": "0000", "matches": 1}
    assert find.items() >= expected.items() and find["seconds"] >= 0 and find["peer"].startswith("127.0.0.1:")
    assert find.get("identifier", {}).get("00100010") == (
        {"vr": "PN", "Value": [{"Alphabetic": SECRET}]} if asked else None
    )
    assert (SECRET in log.read_text()) == asked
    (store,) = (row for row in rows if row.get("association") == "released" and row["stored"])
    assert (store["stored"], store["not_stored"]) == (2, 0) and store["bytes"] > 40_000
    assert any(row.get("association") == "rejected" and row["called"] == "WRONG" for row in rows)
    assert any(row.get("association") == "accepted" for row in rows)


def test_the_log_for_people_is_lines(tmp_path: Path) -> None:
    with served(tmp_path / "archive") as server:
        filled(server)
        run("find", server.name, "-k", f"PatientName={SECRET}")
    text = server.log.read_text()
    assert "2 objects stored" in text and "C-FIND from DIMSEFAST@127.0.0.1:" in text and "1 matches, 0000H" in text
    assert SECRET not in text and "Traceback" not in text
    assert "Received Find Request" not in text, "what passes is shown at the level debug"


def test_what_passes_is_logged_on_request(tmp_path: Path) -> None:
    with served(tmp_path / "archive", "-ll", "debug") as server:
        run("echo", server.name)
    assert "Received Echo Request" in server.log.read_text()


def test_metrics_health_and_readiness(tmp_path: Path) -> None:
    with served(tmp_path / "archive", "--metrics", "127.0.0.1:0") as server:
        filled(server)
        client = Client(server.name)
        assert len(list(client.find(query.study(patient_id="1CT1")))) == 1
        client.close()
        wait_until(lambda: 'operation="C-FIND"' in server.http("/metrics")[1], "the query to be counted")
        status, text = server.http("/metrics")
        found = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        assert status == 200
        assert found["dimsefast_requests_total", "C-STORE", "0000"] == 2
        assert found["dimsefast_pending_responses_total", "C-FIND"] == 1
        assert found["dimsefast_archive_instances",] == 2 and found["dimsefast_archive_patients",] == 2
        assert found["dimsefast_archive_free_bytes",] > 0
        assert server.http("/healthz") == (200, "ok\n")
        assert server.http("/readyz") == (200, "ready\n")
        assert server.http("/")[0] == 404


def test_it_is_not_ready_where_the_disk_is_nearly_full(tmp_path: Path) -> None:
    with served(tmp_path / "archive", "--metrics", "127.0.0.1:0", "--minimum-free-space", 2**62) as server:
        status, text = server.http("/readyz")
        assert status == 503 and text.startswith("disk: ") and text.count("\n") == 1
        assert server.http("/healthz")[0] == 200


# Making the index anew


def test_an_index_that_is_lost_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    with served(folder) as server:
        filled(server)
    for file in (folder / ".dimsefast").glob("index.sqlite*"):
        file.unlink()
    error = run("serve", folder, "-p", 0, status=1).stderr
    assert "dimsefast reindex" in error and len(error.splitlines()) == 1
    terminal = Terminal("reindex", folder)
    assert terminal.finish() == 0
    assert b"indexing" in terminal.output and b"2/2" in terminal.output
    assert b"2 objects indexed" in terminal.output and b"2 patients, 2 studies" in terminal.output
    with served(folder) as server:
        assert CT_STUDY in run("find", server.name, "-k", "PatientID=1CT1").stdout


def test_what_cannot_be_indexed_is_listed(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    with served(folder) as server:
        filled(server)
    (broken,) = (folder / "objects").glob(f"*/{CT_UID}.dcm")
    broken.write_bytes(broken.read_bytes()[:200])
    (folder / ".dimsefast" / "index.sqlite").write_bytes(b"no database")
    done = run("reindex", folder, "--json", status=1)
    found = json.loads(done.stdout)
    assert (found["indexed"], found["instances"]) == (1, 1)
    assert found["failed"][0]["name"].endswith(f"{CT_UID}.dcm") and CT_UID in done.stderr
    for arguments in ([], [tmp_path / "nowhere"]):
        error = run("reindex", *arguments, status=2).stderr
        assert len(error.splitlines()) == 1
