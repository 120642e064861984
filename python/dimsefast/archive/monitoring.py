"""Metrics, health and readiness over HTTP, for Prometheus and for whatever restarts or routes around a server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

LOGGER = logging.getLogger("dimsefast.archive")

#: Seconds that a client may take for its request.
_TIMEOUT = 10.0


class Monitoring:
    """Answers `/metrics`, `/healthz` and `/readyz` at an address, on threads of its own, until `close`.

    Args:
        address: (host, port); port 0 takes a free one.
        metrics: gives the metrics in Prometheus' text format.
        problems: gives what keeps the server from being ready, a line each; none where it is.

    Raises OSError where the address cannot be bound.
    """

    def __init__(self, address: tuple[str, int], metrics: Callable[[], str], problems: Callable[[], list[str]]) -> None:
        answers = {
            "/metrics": lambda: (200, metrics()),
            "/healthz": lambda: (200, "ok\n"),
            "/readyz": lambda: _readiness(problems()),
        }
        try:
            self._server = _Server(address, answers)
        except OSError as error:
            host, port = address
            raise OSError(error.errno, f"cannot listen on {host}:{port} for metrics: {error.strerror}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="dimsefast-monitoring", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) that is bound."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def close(self) -> None:
        """Stops answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _readiness(problems: list[str]) -> tuple[int, str]:
    return (503, "".join(f"{problem}\n" for problem in problems)) if problems else (200, "ready\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], answers: dict[str, Callable[[], tuple[int, str]]]) -> None:
        import socket

        self.answers = answers
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    timeout = _TIMEOUT

    def do_GET(self) -> None:
        """Called by http.server."""
        answer = cast(_Server, self.server).answers.get(self.path.partition("?")[0])
        try:
            status, text = (404, "there are /metrics, /healthz and /readyz\n") if answer is None else answer()
        except Exception as error:
            LOGGER.exception("%s failed", self.path)
            status, text = 500, f"{error}\n"
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's

    def log_message(self, format: str, *args: Any) -> None:
        """Called by http.server for each request."""
        LOGGER.debug("%s " + format, self.client_address[0], *args)
