"""dimsefast move."""

from __future__ import annotations

from pathlib import Path

import click

from ..client.peer import Peer
from .common import (
    client_for,
    connection_options,
    finish,
    folder_option,
    json_option,
    key_option,
    level_option,
    model_options,
    working,
)
from .keys import identifier


@click.command()
@connection_options
@model_options()
@level_option
@key_option
@click.option(
    "-aem", "--to", "destination", metavar="AET", help="AE title of the destination. Default: our own, and we receive."
)
@click.option(
    "--listen",
    default="0.0.0.0:11112",
    show_default=True,
    metavar="HOST:PORT",
    help="Where we receive; the peer must know it under our AE title.",
)
@folder_option
@click.option(
    "--arrival-timeout", type=float, default=10, show_default=True, metavar="SECONDS", help="Wait for the last objects."
)
@json_option
def move(
    peer: Peer,
    aet: str,
    aec: str | None,
    timeout: float,
    max_pdu: int | None,
    model: str | None,
    level: str | None,
    keys: tuple[str, ...],
    destination: str | None,
    listen: str,
    folder: Path,
    arrival_timeout: float,
    as_json: bool,
) -> int:
    """Have the peer send objects to an AE (C-MOVE); to ourselves where no other is named.

    \b
    dimsefast move ARCHIVE@10.0.0.5:104 -aet WORKSTATION --listen 0.0.0.0:11113 -k StudyInstanceUID=1.2.3 -od incoming
    dimsefast move ARCHIVE@10.0.0.5:104 --to OTHER -k PatientID=123 -L patient
    """
    asked = identifier(keys, level, model, returning=False)
    receive = folder if destination is None or destination.strip() == aet.strip() else None
    with client_for(peer, aet, aec, timeout, max_pdu, listen, arrival_timeout=arrival_timeout) as client:
        with working("moved", f"from {client.peer.ae_title}", as_json) as work:
            report = client.move(asked, destination, receive, model, work)
    return finish(report, as_json)
