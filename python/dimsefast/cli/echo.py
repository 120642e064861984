"""dimsefast echo."""

from __future__ import annotations

import json

import click

from ..client.peer import Peer
from .common import client_for, connection_options, json_option


@click.command()
@connection_options
@click.option("--repeat", type=click.IntRange(min=1), default=1, metavar="N", help="Ask N times over one association.")
@json_option
def echo(peer: Peer, aet: str, aec: str | None, timeout: float, max_pdu: int | None, repeat: int, as_json: bool) -> int:
    """Ask whether a node answers (C-ECHO).

    \b
    dimsefast echo ARCHIVE@10.0.0.5:104
    dimsefast echo -aet WORKSTATION --repeat 10 ARCHIVE@10.0.0.5:104
    """
    with client_for(peer, aet, aec, timeout, max_pdu) as client:
        for _ in range(repeat):
            seconds = client.echo()
            if as_json:
                print(json.dumps({"ok": True, "peer": str(client.peer), "seconds": seconds}), flush=True)
            else:
                print(f"{client.peer} answers: {1000 * seconds:.2f} ms", flush=True)
    return 0
