"""dimsefast serve."""

from __future__ import annotations

import json
import logging
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import click

from ..archive import configuration as configurations
from ..archive import settings
from ..archive.configuration import ConfigurationError
from ..archive.settings import SECTIONS, Configuration, settings_of
from .common import Interrupted

if TYPE_CHECKING:
    from ..archive.server import ArchiveServer

F = TypeVar("F", bound=Callable[..., Any])

LOGGER = logging.getLogger("dimsefast.archive")

#: What has the configuration read anew; a system without it has no way to ask for that.
_RELOAD: Final[int | None] = getattr(signal, "SIGHUP", None)
_SIGNALS = tuple(number for number in (signal.SIGTERM, signal.SIGINT, _RELOAD) if number is not None)
#: Among the signals: the server has stopped.
_STOPPED = 0


def setting_options(function: F) -> F:
    """An option for each setting that has a flag."""
    for section, kind in reversed(SECTIONS.items()):
        for setting in reversed(list(settings_of(kind))):
            flags = setting.metadata["flags"]
            if flags:
                function = _option(f"{section}__{setting.name}", flags, setting.metadata, setting.default)(function)
    return function


def _option(name: str, flags: list[str], metadata: Any, default: Any) -> Callable[[F], F]:
    kind, words = metadata["kind"], metadata["words"]
    if isinstance(kind, settings.Switch):
        long = flags[-1].removeprefix("--")
        return click.option(f"--{long}/--no-{long}", name, default=None, help=f"{words} Default: {_word(default)}.")
    more: dict[str, Any] = {"metavar": "TEXT"}
    if isinstance(kind, settings.Choice):
        more = {"type": click.Choice(kind.values, case_sensitive=False)}
    elif isinstance(kind, settings.Whole):
        more = {"type": int, "metavar": "NUMBER"}
    elif isinstance(kind, settings.Seconds):
        more = {"type": float, "metavar": "SECONDS"}
    elif isinstance(kind, settings.Titles):
        more = {"multiple": True, "metavar": "AET"}
        words = f"{words} May be repeated."
    elif isinstance(kind, settings.Networks):
        more = {"multiple": True, "metavar": "NETWORK"}
        words = f"{words} May be repeated."
    elif isinstance(kind, settings.Operations):
        more = {"metavar": "OPERATION,..."}
    elif isinstance(kind, settings.File):
        more = {"metavar": "PATH"}
    elif isinstance(kind, settings.Address):
        more = {"metavar": "HOST:PORT"}
    shown = "" if default in ("", ()) else f" Default: {_word(default)}."
    return click.option(*flags, name, help=f"{words}{shown}", **more)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(value) if isinstance(value, tuple) else str(value)


@click.command()
@click.argument("folder", required=False, metavar="[FOLDER]")
@click.option("-c", "--config", type=click.Path(path_type=Path), metavar="FILE", help="The configuration, a TOML file.")
@setting_options
@click.option(
    "--destination",
    "destinations",
    multiple=True,
    metavar="AET=HOST:PORT",
    help="Where C-MOVE sends objects, and where storage commitment is reported to. Behind commas: "
    "parallel_associations=N, retries=N, decompress=true, tls=true. May be repeated.",
)
@click.option(
    "--access",
    multiple=True,
    metavar="AET=OPERATION,...",
    help=f"What an AE may do: {', '.join(settings.OPERATIONS)}; nothing behind = rejects it. May be repeated.",
)
@click.option("--print-config", is_flag=True, help="Write the configuration as it is in effect, and end.")
@click.option("--json", "as_json", is_flag=True, help="Say as JSON where it listens and what it holds.")
def serve(
    folder: str | None,
    config: Path | None,
    destinations: tuple[str, ...],
    access: tuple[str, ...],
    print_config: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Serve an archive in a folder: store, query, retrieve, worklist, storage commitment, MPPS.

    The folder is made if it is not there. A flag changes what the configuration file says. SIGTERM and Ctrl-C let what
    is in progress finish, a second one aborts it; SIGHUP reads destinations and access anew.

    \b
    dimsefast serve archive -p 11112 -aet ARCHIVE --destination WORKSTATION=10.0.0.7:11112
    dimsefast serve archive --print-config > serve.toml
    dimsefast serve -c serve.toml --metrics 127.0.0.1:9100 --log-format json
    """

    def read() -> Configuration:
        return _configuration(config, folder, flags, destinations, access)

    try:
        found = read()
    except ConfigurationError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    if print_config:
        print(configurations.as_toml(found), end="")
        return 0
    if not found.storage.location:
        raise click.UsageError(
            "where is the archive? Give its folder, or [storage] location in the configuration",
            click.get_current_context(),
        )
    return _run(found, read, as_json)


def _configuration(
    path: Path | None, folder: str | None, flags: dict[str, Any], destinations: tuple[str, ...], access: tuple[str, ...]
) -> Configuration:
    """What the file says, changed by the flags. Raises ConfigurationError, OSError."""
    found = Configuration() if path is None else configurations.load(path)
    given: dict[str, dict[str, Any]] = {}
    for name, value in flags.items():
        if value is not None and value != ():
            section, _, setting = name.partition("__")
            given.setdefault(section, {})[setting] = value
    if folder is not None:
        given.setdefault("storage", {})["location"] = folder
    if "others" in given.get("access", {}):
        given["access"]["others"] = configurations.parse_operations("--access-others", given["access"]["others"])
    for section, values in given.items():
        found = configurations.changed(found, section, values)
    if access:
        peers = {**found.access.peers, **dict(map(configurations.parse_access, access))}
        found = replace(found, access=replace(found.access, peers=peers))
    if destinations:
        added = dict(map(configurations.parse_destination, destinations))
        found = replace(found, destinations={**found.destinations, **added})
    return configurations.with_paths_from(found, Path.cwd())


def _run(configuration: Configuration, read: Callable[[], Configuration], as_json: bool) -> int:
    # They are slow to import, and --help and --print-config need none of them.
    from ..archive.logs import start_logging, stop_logging
    from ..archive.server import ArchiveServer

    handler = start_logging(configuration.log)
    try:
        with _Signals() as signals:
            server = ArchiveServer(configuration)
            try:
                _tell(server, as_json)
                while (number := signals.get()) == _RELOAD:
                    _reload(server, read)
            finally:
                last = _stop(server, signals)
        if signal.SIGINT in (number, last):
            raise Interrupted(_work_done(server))
    finally:
        stop_logging(handler)
    return 0


class _Signals:
    """The signals that come, one after the other.

    They come through a descriptor: a thread that waits for a lock misses a signal that the system gives to another one.
    """

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._far.setblocking(False)

    def get(self) -> int:
        """Waits for the next one."""
        return self._near.recv(1)[0]

    def put(self, number: int) -> None:
        """Adds one, from any thread."""
        self._far.send(bytes([number]))

    def __enter__(self) -> Self:
        self._wakeup = signal.set_wakeup_fd(self._far.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _nothing) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._near.close()
        self._far.close()


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """What a signal does is told by its number in the descriptor."""


def _stop(server: ArchiveServer, signals: _Signals) -> int:
    """Stops it; a signal meanwhile aborts what is in progress. Gives that signal, or 0."""

    def stop() -> None:
        try:
            server.stop()
        finally:
            signals.put(_STOPPED)

    LOGGER.info("%s: stopping: what is in progress may finish", server.address)
    last = 0
    thread = threading.Thread(target=stop, name="dimsefast-stop")
    thread.start()
    while (number := signals.get()) != _STOPPED:
        if number != _RELOAD:
            last = number
            server.abort()
    thread.join()
    LOGGER.info("%s: stopped: %s", server.address, _work_done(server))
    return last


def _tell(server: ArchiveServer, as_json: bool) -> None:
    held = server.archive.statistics()
    titles = list(server.configuration.network.ae_titles)
    metrics = None
    if server.monitoring is not None:
        host, port = server.monitoring.address
        metrics = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if as_json:
        row = {"listening": server.address, "ae_titles": titles, "folder": str(server.archive.folder), **held}
        print(json.dumps(row | ({} if metrics is None else {"metrics": metrics})), flush=True)
        return
    how = " by TLS" if server.configuration.tls.certificate else ""
    counts = f"{held['patients']} patients, {held['studies']} studies, {held['instances']} objects"
    more = "" if metrics is None else f"; metrics at {metrics}"
    print(f"{', '.join(titles)} listens at {server.address}{how}, {server.archive.folder}: {counts}{more}", flush=True)


def _reload(server: ArchiveServer, read: Callable[[], Configuration]) -> None:
    try:
        left = server.reload(read())
    except (ConfigurationError, OSError) as error:
        LOGGER.error("the configuration stays as it was: %s", error)
        return
    LOGGER.info("destinations and access are those of the configuration now")
    if left:
        LOGGER.warning("other changes need a new start: [%s]", "], [".join(left))


def _work_done(server: ArchiveServer) -> str:
    found = server.server.statistics()
    stored = found["operations"].get("C-STORE", {}).get("statuses", {}).get(0, 0)
    return f"{found['associations']['accepted']} associations, {stored} objects stored"
