"""storescp: receives objects."""

from __future__ import annotations

from typing import Any

import click

from ..presentation import AllStoragePresentationContexts
from ..sop_class import Verification
from .common import acceptor, acceptor_options, output_options, serve, store_target, supported_syntaxes


@click.command()
@acceptor_options("storescp")
@output_options
@click.option("--no-echo", is_flag=True, help="do not answer C-ECHO")
def command(port: int, bind_address: str, no_echo: bool, **options: Any) -> int:
    """Receive objects, each into a file, until Ctrl-C."""
    ae = acceptor(options)
    syntaxes = supported_syntaxes(options)
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(str(context.abstract_syntax), syntaxes)
    if not no_echo:
        ae.add_supported_context(Verification, syntaxes)
    return serve(ae, (bind_address, port), store_to=store_target(options))
