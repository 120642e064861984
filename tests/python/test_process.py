"""The process as a whole: forks, its end, Ctrl-C in each blocking call, and logging."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from conftest import wait_until

PREAMBLE = """
import os, signal, socket, sys, threading, time
from pydicom import Dataset
from dimsefast import AE, build_context, evt
from pydicom.data import get_testdata_file
from dimsefast.sop_class import CTImageStorage, Verification, PatientRootQueryRetrieveInformationModelFind as FIND
ECHO = [build_context(Verification)]

def provider(*handlers):
    ae = AE("PROVIDER")
    ae.add_supported_context(Verification)
    ae.add_supported_context(FIND)
    ae.add_supported_context(CTImageStorage)
    return ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))

def query():
    dataset = Dataset()
    dataset.QueryRetrieveLevel = "PATIENT"
    dataset.PatientID = "*"
    return dataset
"""


def run(script: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_a_record_at_the_very_end_is_told_before_the_interpreter_ends() -> None:
    """The thread that tells it has hardly begun then."""
    script = """
        import logging
        logging.basicConfig(level=logging.INFO, stream=sys.stdout)
        server = provider()
        AE().connect("127.0.0.1", server.port, contexts=ECHO).abort()
    """
    for _ in range(5):
        done = run(script)
        assert done.returncode == 0 and "aborted locally" in done.stdout, (done.returncode, done.stdout, done.stderr)


def test_importing_brings_in_nothing_that_only_some_programs_need() -> None:
    script = """
        import pydicom, pydicom.dataset, sys
        before = set(sys.modules)
        import dimsefast
        brought = set(sys.modules) - before
        print(sorted(brought & {"asyncio", "click", "rich", "sqlalchemy", "dimsefast.archive", "dimsefast.client"}))
        assert dimsefast.Client.__module__ == "dimsefast.client.client"
        assert dimsefast.Archive.__module__ == "dimsefast.archive.archive"
        assert {*dimsefast.__all__, "aio"} <= set(dir(dimsefast))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_a_script_that_ends_with_everything_open_ends_at_once() -> None:
    started = time.monotonic()
    done = run("""
        server = provider()
        assoc = AE().connect("127.0.0.1", server.port, contexts=ECHO)
        assert assoc.send_c_echo().Status == 0
        print("end")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
    assert time.monotonic() - started < 20


def test_a_script_that_ends_while_a_handler_works() -> None:
    done = run("""
        entered = threading.Event()
        def on_echo(event):
            entered.set()
            time.sleep(0.5)
            return 0
        server = provider((evt.EVT_C_ECHO, on_echo))
        assoc = AE().connect("127.0.0.1", server.port, contexts=ECHO)
        threading.Thread(target=assoc.send_c_echo, daemon=True).start()
        entered.wait(10)
        print("end")
    """)
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


def test_the_peer_of_a_script_that_ends_is_told() -> None:
    done = run("""
        import subprocess
        aborted = threading.Event()
        server = provider((evt.EVT_ABORTED, lambda event: aborted.set()))
        child = '''
        from dimsefast import AE, build_context
        from dimsefast.sop_class import Verification
        assoc = AE().connect("127.0.0.1", {}, contexts=[build_context(Verification)])
        '''.format(server.port).replace("        ", "")
        assert subprocess.run([sys.executable, "-c", child]).returncode == 0
        assert aborted.wait(10)
        print("told")
    """)
    assert (done.returncode, done.stdout) == (0, "told\n"), done.stderr


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_after_import_and_after_a_server_ran(method: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    body = """
        import multiprocessing

        def work(port):
            server = provider()
            with AE().connect("127.0.0.1", server.port, contexts=ECHO) as assoc:
                assert assoc.send_c_echo().Status == 0
            server.shutdown()
            with AE().connect("127.0.0.1", port, contexts=ECHO) as assoc:
                assert assoc.send_c_echo().Status == 0
            return os.getpid()

        if __name__ == "__main__":
            context = multiprocessing.get_context("METHOD")
            first = provider()
            with context.Pool(2) as pool:
                assert os.getpid() not in pool.map(work, [first.port] * 4)
            first.shutdown()
            second = provider()
            with context.Pool(1) as pool:
                pool.map(work, [second.port])
            second.shutdown()
            print("good")
    """
    script.write_text(PREAMBLE + textwrap.dedent(body).replace("METHOD", method))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stdout) == (0, "good\n"), done.stderr


def test_what_was_made_before_a_fork_raises_in_the_child_and_lives_on_in_the_parent() -> None:
    done = run("""
        server = provider()
        assoc = AE().connect("127.0.0.1", server.port, contexts=ECHO)
        child = os.fork()
        if child == 0:
            caught = 0
            for use in (assoc.send_c_echo, lambda: server.active_associations, assoc.release):
                try:
                    use()
                except RuntimeError as error:
                    caught += "fork" in str(error)
            del assoc, server
            import gc
            gc.collect()
            os._exit(caught)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 3, status
        assert assoc.send_c_echo().Status == 0
        assoc.release()
        server.shutdown()
        print("good")
    """)
    assert (done.returncode, done.stdout) == (0, "good\n"), done.stderr


def test_a_child_does_not_keep_the_parents_sockets_open() -> None:
    done = run("""
        server = provider()
        port = server.port
        reading, writing = os.pipe()
        up_reading, up_writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.write(up_writing, b"!")
            os.read(reading, 1)
            os._exit(0)
        os.read(up_reading, 1)
        server.shutdown()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5)
        except ConnectionRefusedError:
            print("free")
        os.close(writing)
        os.waitpid(child, 0)
    """)
    assert (done.returncode, done.stdout) == (0, "free\n"), done.stderr


CALLS = {
    "associate": 'AE().associate("127.0.0.1", silent.getsockname()[1], contexts=ECHO)',
    "send_c_echo": "assoc.send_c_echo()",
    "send_c_store": 'assoc.send_c_store(get_testdata_file("CT_small.dcm"))',
    "store": 'list(assoc.store([get_testdata_file("CT_small.dcm")] * 3))',
    "send_c_find": "list(assoc.send_c_find(query(), FIND))",
    "release": "assoc_to_silent.release()",
    "start_server": 'blocking.start_server(("127.0.0.1", 0))',
}


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_ends_each_blocking_call(call: str) -> None:
    script = f"""
        go_on = threading.Event()
        wait = lambda event: go_on.wait(60)
        server = provider((evt.EVT_C_ECHO, wait), (evt.EVT_C_STORE, wait), (evt.EVT_C_FIND, lambda event:
        iter([wait(event)])))
        silent = socket.create_server(("127.0.0.1", 0))
        ae = AE()
        ae.acse_timeout = ae.dimse_timeout = None
        contexts = [*ECHO, build_context(FIND), build_context(CTImageStorage)]
        assoc = ae.connect("127.0.0.1", server.port, contexts=contexts)
        assoc_to_silent = assoc
        if {call!r} == "release":
            # The acceptor's side is stopped by hand: its answer never comes.
            def accept():
                stream, _ = silent.accept()
                request = stream.recv(65536)
                answer = bytearray(request)
                answer[0] = 2
                at = answer.index(b"\\x20\\x00", 74)
                context = bytes.fromhex("21000019 01000000 40000011".replace(" ", "")) + b"1.2.840.10008.1.2"
                body = bytes(answer[6:at]) + context + bytes.fromhex("50000008 51000004 00004000".replace(" ", ""))
                stream.sendall(b"\\x02\\x00" + len(body).to_bytes(4, "big") + body)
                time.sleep(60)
            threading.Thread(target=accept, daemon=True).start()
            assoc_to_silent = ae.connect("127.0.0.1", silent.getsockname()[1], contexts=ECHO)
        blocking = AE()
        blocking.add_supported_context(Verification)
        print("ready", flush=True)
        try:
            {CALLS[call]}
            # What serves until it is told to stop takes Ctrl-C as that.
            interrupted = {call!r} == "start_server"
        except KeyboardInterrupt:
            interrupted = True
        if interrupted:
            print("interrupted", flush=True)
            go_on.set()
        if {call!r} not in ("associate", "start_server"):
            for _ in range(1000):
                if assoc_to_silent.is_aborted:
                    break
                time.sleep(0.01)
            assert assoc_to_silent.is_aborted
    """
    process = subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        # Until the main thread sleeps in the call, a signal could come too early: it is sent until it has worked.
        stop = threading.Event()
        waits: list[float] = []

        def interrupt() -> None:
            wait_until(lambda: sleeping(process.pid), "the call to block")
            sent = time.monotonic()
            os.kill(process.pid, signal.SIGINT)
            stop.wait(30)
            waits.append(time.monotonic() - sent)

        thread = threading.Thread(target=interrupt)
        thread.start()
        line = process.stdout.readline()
        stop.set()
        thread.join()
        assert line == "interrupted\n", process.communicate()
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, ""), err
    finally:
        process.kill()
        process.communicate()


def sleeping(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"


def test_core_records_reach_logging_by_level() -> None:
    script = """
        import logging
        records = []
        class Keep(logging.Handler):
            def emit(self, record):
                records.append((record.levelname, record.getMessage(), threading.current_thread() is
                threading.main_thread()))
        logger = logging.getLogger("dimsefast")
        logger.addHandler(Keep())
        logger.setLevel(LEVEL)
        server = provider()
        with socket.create_connection(("127.0.0.1", server.port)) as stream:
            stream.sendall(b"GET / HTTP/1.0")
            stream.recv(100)
        AE().connect("127.0.0.1", server.port, contexts=ECHO).release()
        for _ in range(500):
            if any(message.startswith(WANTED) for _, message, _ in records):
                break
            time.sleep(0.01)
        for level, message, main in records:
            assert not main
            print(level, message.split(":")[0])
    """
    done = run(script.replace("LEVEL)", "logging.ERROR)").replace("WANTED", "'association aborted'"))
    assert done.stdout == "ERROR association aborted, the peer broke the protocol\n", done.stderr
    done = run(script.replace("LEVEL)", "logging.DEBUG)").replace("WANTED", "'association released'"))
    assert "DEBUG association released\n" in done.stdout, done.stderr


def test_debug_logger_has_one_handler_however_often_it_is_called() -> None:
    done = run("""
        import logging, dimsefast
        logger = logging.getLogger("dimsefast")
        assert [type(handler) for handler in logger.handlers] == [logging.NullHandler]
        dimsefast.debug_logger()
        dimsefast.debug_logger()
        assert [type(handler) for handler in logger.handlers] == [logging.StreamHandler]
        assert logger.level == logging.DEBUG
    """)
    assert done.returncode == 0, done.stderr
