"""qrscp: an archive, for verification, storage, query and retrieval."""

from __future__ import annotations

import configparser
import logging
from pathlib import Path
from typing import Any

import click

from .. import evt
from ..ae import DEFAULT_MAXIMUM_PDU_SIZE
from ..archive import Archive, ArchiveError
from ..archive.provider import Provider
from .common import echoed, entity, general_options, serve

LOGGER = logging.getLogger("dimsefast.apps.qrscp")

#: The settings of the section DEFAULT, and what they are without a configuration.
_DEFAULTS = {
    "ae_title": "QRSCP",
    "port": "11112",
    "max_pdu": str(DEFAULT_MAXIMUM_PDU_SIZE),
    "acse_timeout": "30",
    "dimse_timeout": "30",
    "network_timeout": "30",
    "bind_address": "",
    "instance_location": "instances",
    "database_location": "",
}
#: The move destinations without a configuration.
_DESTINATIONS = {"STORESCP": ("127.0.0.1", 11113)}


def _configuration(path: str | None) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(defaults=_DEFAULTS)
    try:
        if path is not None and not parser.read(path):
            raise click.UsageError(f"cannot read the configuration {path}")
    except configparser.Error as error:
        raise click.UsageError(f"the configuration {path}: {' '.join(str(error).split())}") from None
    return parser


def _destinations(parser: configparser.ConfigParser, config: str | None) -> dict[str, tuple[str, int]]:
    """The move destinations: a section each, by its AE title."""
    if config is None:
        return _DESTINATIONS
    try:
        return {title: (parser[title]["address"], int(parser[title]["port"])) for title in parser.sections()}
    except (KeyError, ValueError) as error:
        raise click.UsageError(f"a move destination has an address and a port: {error}") from None


def _remove_everything(archive: Archive) -> None:
    for path in list(archive.storage.folder.rglob("*.dcm")):
        archive.remove(sop_instance_uid=path.stem)


@click.command()
@general_options
@click.option("-c", "--config", metavar="FILE", help="a configuration: DEFAULT, and a section for each destination")
@click.option("--port", type=click.IntRange(0, 65535))
@click.option("-aet", "--ae-title", "ae_title", help="our AE title")
@click.option("-ta", "--acse-timeout", type=float, metavar="SECONDS")
@click.option("-td", "--dimse-timeout", type=float, metavar="SECONDS")
@click.option("-tn", "--network-timeout", type=float, metavar="SECONDS")
@click.option("-pdu", "--max-pdu", type=click.IntRange(min=0), metavar="BYTES")
@click.option("-ba", "--bind-address", help="the address to listen on")
@click.option("--database-location", metavar="FILE", help="the index; default in the folder of the objects")
@click.option("--instance-location", metavar="FOLDER", help="where objects are kept")
@click.option("--clean", is_flag=True, help="remove all objects, and end")
def command(config: str | None, clean: bool, **given: Any) -> int:
    """Serve an archive until Ctrl-C. Options go before the configuration."""
    parser = _configuration(config)
    said = {name: value for name, value in given.items() if value is not None}
    numbers: dict[str, Any] = {
        **{name: parser["DEFAULT"].getint(name) for name in ("port", "max_pdu")},
        **{name: parser["DEFAULT"].getfloat(name) for name in ("acse_timeout", "dimse_timeout", "network_timeout")},
    }
    options = {**dict(parser["DEFAULT"]), **numbers, **said}
    database = options["database_location"]
    try:
        archive = Archive(
            options["instance_location"],
            database=f"sqlite:///{Path(database).resolve()}" if database else None,
        )
    except ArchiveError as error:
        LOGGER.error("%s", error)
        return 1
    with archive:
        if clean:
            asked = "This will delete all instances in the archive. Are you sure you wish to continue? [yes/no]"
            if click.prompt(asked) == "yes":
                _remove_everything(archive)
            return 0
        provider = Provider(archive, destinations=_destinations(parser, config), relational=True)
        return serve(
            entity(options["ae_title"], options),
            (options["bind_address"], options["port"]),
            contexts=provider.contexts(),
            evt_handlers=[*provider.handlers, (evt.EVT_C_ECHO, echoed)],
            store_to=archive.store_to,
        )
