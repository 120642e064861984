"""Parts of a served archive that can be looked at without one."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from typing import Any

import pytest
from dimsefast import sop_class
from dimsefast.archive import extended
from dimsefast.archive.logs import JsonFormatter, TextFormatter
from dimsefast.archive.monitoring import Monitoring
from dimsefast.archive.server import address_of, limited
from dimsefast.archive.settings import DestinationSettings, LogSettings

FIND, MOVE = (
    str(sop_class.StudyRootQueryRetrieveInformationModelFind),
    str(sop_class.StudyRootQueryRetrieveInformationModelMove),
)


def test_options_that_are_refused_are_not_granted() -> None:
    assert extended.answer(FIND, b"\1\1\1\1") == b"\1\1\1\1"
    assert extended.answer(FIND, b"\1\1\1\1", {"relational", "fuzzy"}) == b"\0\1\0\1"
    assert extended.answer(MOVE, b"\1", {"relational"}) == b"\0"


def test_a_limit_ends_a_query_behind_that_many_matches() -> None:
    def on_find(event: Any) -> Any:
        yield from ((0xFF00, matches) for matches in event)

    assert list(limited(on_find, 3)([[0], [1, 2]])) == [(0xFF00, [0]), (0xFF00, [1, 2])]
    for more in ([[0, 1], [2, 3, 4]], [[0, 1, 2], [3]], [[0, 1, 2, 3, 4]]):
        *matches, (status, identifier) = limited(on_find, 3)(more)
        assert [match for _, some in matches for match in some] == [0, 1, 2]
        assert status.Status == 0xA700 and identifier is None
        assert "more than 3 matches" in status.ErrorComment
    failed = [(0xFF00, [0]), (0xC000, None)]
    assert list(limited(lambda _: iter(failed), 3)(None)) == failed


def test_destinations_are_what_the_provider_takes() -> None:
    found = address_of(DestinationSettings("[::1]:104", 3, 1, True))
    assert found == ("::1", 104, {"parallel_associations": 3, "retries": 1, "decompress": True})


@pytest.mark.parametrize("formatter", [JsonFormatter, TextFormatter])
def test_what_a_peer_sent_ends_no_line_and_moves_no_cursor(formatter: Any) -> None:
    hostile = "A\r\n2026 INFO all is well\x1b[2J\x9b31m\u2028"
    record = logging.LogRecord("dimsefast", logging.INFO, "", 0, "from %s", (hostile,), None)
    line = formatter(LogSettings()).format(record)
    assert line.isprintable() and "all is well" in line
    if formatter is JsonFormatter:
        assert json.loads(line)["message"] == f"from {hostile}"


def test_an_exception_is_told_with_its_place() -> None:
    try:
        raise ValueError("boom")
    except ValueError as error:
        record = logging.LogRecord("dimsefast", logging.ERROR, "", 0, "it failed", (), None)
        record.exc_info = (type(error), error, error.__traceback__)
    assert "ValueError: boom" in json.loads(JsonFormatter(LogSettings()).format(record))["exception"]
    assert "ValueError: boom" in TextFormatter(LogSettings()).format(record)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_monitoring_answers_whatever_it_is_asked(host: str, caplog: pytest.LogCaptureFixture) -> None:
    problems: list[str] = []

    def metrics() -> str:
        return "x 1\n" if not problems else str(1 / 0)

    monitoring = Monitoring((host, 0), metrics, lambda: problems)

    def ask(path: str, method: str = "GET") -> tuple[int, bytes]:
        name = f"[{host}]" if ":" in host else host
        request = urllib.request.Request(f"http://{name}:{monitoring.address[1]}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    try:
        assert ask("/metrics?a=b") == (200, b"x 1\n") and ask("/metrics", "HEAD") == (200, b"")
        assert ask("/readyz") == (200, b"ready\n")
        problems.append("disk: it is full")
        assert ask("/readyz") == (503, b"disk: it is full\n") and ask("/healthz")[0] == 200
        with caplog.at_level(logging.CRITICAL, "dimsefast"):
            assert ask("/metrics")[0] == 500
        assert ask("/../etc/passwd")[0] == 404 and ask("/metrics", "POST")[0] == 501
    finally:
        monitoring.close()
