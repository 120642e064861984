"""echoscp: answers C-ECHO."""

from __future__ import annotations

import logging
from typing import Any

import click

from .. import evt
from ..sop_class import Verification
from .common import acceptor_options, entity, supported_syntaxes

LOGGER = logging.getLogger("dimsefast.apps.echoscp")


def _echoed(event: evt.Event) -> int:
    peer = event.assoc.requestor
    LOGGER.info("Received C-ECHO request from %s:%s at %s", peer.address, peer.port, event.timestamp)
    return 0x0000


@click.command()
@acceptor_options("echoscp")
def command(port: int, bind_address: str, **options: Any) -> int:
    """Answer verification requests until Ctrl-C."""
    ae = entity(options["ae_title"], options)
    ae.add_supported_context(Verification, supported_syntaxes(options))
    ae.start_server((bind_address, port), evt_handlers=[(evt.EVT_C_ECHO, _echoed)])
    return 0
