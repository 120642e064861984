"""What subcommands share: options, keys, output, progress and the end by Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from ..client.client import Client
from ..client.peer import Peer
from ..client.progress import progress_handler
from ..client.reports import Progress, ProgressHandler, Report, size_words
from ..tls import TLS

F = TypeVar("F", bound=Callable[..., Any])

_LEVELS = ["debug", "info", "warning", "error"]


class Interrupted(Exception):
    """Ctrl-C, with what was done until then."""


class PeerType(click.ParamType[Peer]):
    """AET@host:port."""

    name = "peer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Peer:
        """Called by click."""
        try:
            return Peer.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def one_line(error: object) -> str:
    """Its words on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _log_level(_context: click.Context, _option: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    from ..log import LOGGER, refresh_level

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname).1s: %(message)s"))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(value.upper())
    refresh_level()


max_pdu_option = click.option(
    "-pdu",
    "--max-pdu",
    type=click.IntRange(min=0),
    metavar="BYTES",
    help="Longest PDU that we receive; 0 for no limit.",
)
log_option = click.option(
    "-ll",
    "--log-level",
    type=click.Choice(_LEVELS, case_sensitive=False),
    expose_value=False,
    callback=_log_level,
    help="Show what the library logs, on the standard error output.",
)


_TLS = "dimsefast.tls"


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Keeps an option of TLS for `chosen_tls`."""
    if value:
        context.meta.setdefault(_TLS, {})[option.name] = value


def tls_options(function: F) -> F:
    """--tls and what belongs to it; kept for `chosen_tls`."""
    file = click.Path(exists=True, dir_okay=False)
    for option in reversed(
        (
            click.option("--tls", "tls", is_flag=True, expose_value=False, callback=_keep, help="Speak TLS."),
            click.option(
                "--tls-ca",
                "ca",
                type=click.Path(exists=True),
                metavar="PATH",
                expose_value=False,
                callback=_keep,
                help="CAs to trust: a PEM file, or a folder of them. Default: the system's.",
            ),
            click.option(
                "--tls-certificate",
                "certificate",
                type=file,
                metavar="FILE",
                expose_value=False,
                callback=_keep,
                help="Our certificate (PEM).",
            ),
            click.option(
                "--tls-key",
                "key",
                type=file,
                metavar="FILE",
                expose_value=False,
                callback=_keep,
                help="Its key (PEM), without a password.",
            ),
            click.option(
                "--tls-profile",
                "profile",
                metavar="NAME",
                expose_value=False,
                callback=_keep,
                help="bcp195 or non-downgrading. Default: bcp195.",
            ),
            click.option(
                "--tls-verify",
                "verify_peer",
                type=click.Choice(["require", "request", "none"]),
                expose_value=False,
                callback=_keep,
                help="What certificate the peer has to show. Default: require.",
            ),
            click.option(
                "--tls-any-name",
                "any_name",
                is_flag=True,
                expose_value=False,
                callback=_keep,
                help="Take a trusted certificate whatever name it has.",
            ),
        )
    ):
        function = option(function)
    return function


def chosen_tls() -> TLS | None:
    """TLS as the options describe it; None without any."""
    chosen = click.get_current_context().meta.get(_TLS)
    if chosen is None:
        return None
    options = {name: value for name, value in chosen.items() if name not in ("tls", "any_name")}
    return TLS(check_server_name="any_name" not in chosen, **options)


def connection_options(function: F) -> F:
    """What each subcommand that calls a peer has."""
    for option in reversed(
        (
            click.argument("peer", type=PeerType(), metavar="AET@HOST:PORT"),
            click.option(
                "-aet",
                "--aetitle",
                "aet",
                default="DIMSEFAST",
                show_default=True,
                metavar="AET",
                help="Our own AE title.",
            ),
            click.option(
                "-aec", "--call", "aec", metavar="AET", help="The peer's AE title, in place of the one before @."
            ),
            click.option(
                "-to",
                "--timeout",
                type=click.FloatRange(min=0, min_open=True),
                default=30,
                show_default=True,
                metavar="SECONDS",
                help="Longest wait for a connection and for each response.",
            ),
            max_pdu_option,
            tls_options,
            log_option,
        )
    ):
        function = option(function)
    return function


json_option = click.option("--json", "as_json", is_flag=True, help="Write a summary as JSON.")

folder_option = click.option(
    "-od",
    "--output-directory",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("."),
    metavar="FOLDER",
    help="Where received objects go. Default: the current folder.",
)


def model_options(worklist: bool = False) -> Callable[[F], F]:
    """-S, -P and -W: the information model."""

    def decorate(function: F) -> F:
        if worklist:
            function = click.option("-W", "--worklist", "model", flag_value="worklist", help="Modality Worklist.")(
                function
            )
        function = click.option("-P", "--patient", "model", flag_value="patient", help="Patient Root.")(function)
        return click.option(
            "-S", "--study", "model", flag_value="study", help="Study Root. Default: what the level allows."
        )(function)

    return decorate


def key_option(function: F) -> F:
    """-k: keys of the identifier."""
    return click.option(
        "-k",
        "--key",
        "keys",
        multiple=True,
        metavar="KEY=VALUE",
        help="A key: PatientID=1*, 0010,0020=1, StudyDate= to have it returned, "
        "ScheduledProcedureStepSequence.Modality=CT within a sequence. May be repeated.",
    )(function)


def level_option(function: F) -> F:
    """-L: the level."""
    return click.option(
        "-L",
        "--level",
        type=click.Choice(["patient", "study", "series", "image"], case_sensitive=False),
        help="Query/retrieve level. Default: the lowest whose unique key is given, else study.",
    )(function)


def client_for(
    peer: Peer, aet: str, aec: str | None, timeout: float, max_pdu: int | None, listen: str | None = None, **more: Any
) -> Client:
    """The client that the options describe; what is wrong with them is wrong usage."""
    try:
        if aec is not None:
            peer = Peer(aec, peer.host, peer.port)
        return Client(peer, aet, listen, timeout=timeout, max_pdu=max_pdu, tls=chosen_tls(), **more)
    except ValueError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None


class Work:
    """A transfer that can be interrupted: how far it is, and how that is shown."""

    def __init__(self, what: str, show: ProgressHandler | None) -> None:
        self._what = what
        self._show = show
        self.last = Progress(0, None, 0, None, 0)

    def __call__(self, progress: Progress) -> None:
        """Takes in how far it is."""
        self.last = progress
        if self._show is not None:
            self._show(progress)

    def __str__(self) -> str:
        last = self.last
        of = "" if last.total is None else f" of {last.total}"
        failed = f", {last.failed} failed" if last.failed else ""
        return f"{last.done}{of} objects {self._what}{failed}, {size_words(last.bytes)}"


@contextlib.contextmanager
def working(what: str, description: str, quiet: bool) -> Iterator[Work]:
    """Shows progress on a terminal; Ctrl-C is raised as `Interrupted`, which says how far it was."""
    with progress_handler(not quiet, description) as show:
        work = Work(what, show)
        try:
            yield work
        except KeyboardInterrupt:
            raise Interrupted(work) from None


def finish(report: Report, as_json: bool) -> int:
    """Writes a report; gives the exit status."""
    if as_json:
        print(json.dumps(report.as_dict()))
    else:
        for failure in report.failures:
            print(f"failed: {one_line(failure)}", file=sys.stderr)
        print(one_line(report))
    return 0 if report.ok else 1
