"""echoscp: answers C-ECHO."""

from __future__ import annotations

from typing import Any

import click

from .. import evt
from ..sop_class import Verification
from .common import acceptor, acceptor_options, echoed, serve, supported_syntaxes


@click.command()
@acceptor_options("echoscp")
def command(port: int, bind_address: str, **options: Any) -> int:
    """Answer verification requests until Ctrl-C."""
    ae = acceptor(options)
    ae.add_supported_context(Verification, supported_syntaxes(options))
    return serve(ae, (bind_address, port), evt_handlers=[(evt.EVT_C_ECHO, echoed)])
