"""dimsefast get."""

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
@folder_option
@click.option("--skip-existing", is_flag=True, help="Leave out objects that are in the folder already.")
@json_option
def get(
    peer: Peer,
    aet: str,
    aec: str | None,
    timeout: float,
    max_pdu: int | None,
    model: str | None,
    level: str | None,
    keys: tuple[str, ...],
    folder: Path,
    skip_existing: bool,
    as_json: bool,
) -> int:
    """Retrieve objects over our own association (C-GET).

    \b
    dimsefast get ARCHIVE@10.0.0.5:104 -k StudyInstanceUID=1.2.3 -od incoming
    dimsefast get ARCHIVE@10.0.0.5:104 -k StudyInstanceUID=1.2.3 -od incoming --skip-existing
    """
    asked = identifier(keys, level, model, returning=False)
    with client_for(peer, aet, aec, timeout, max_pdu) as client:
        with working("retrieved", f"from {client.peer.ae_title}", as_json) as work:
            report = client.get(asked, folder, model, work, skip_existing)
    return finish(report, as_json)
