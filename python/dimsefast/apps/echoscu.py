"""echoscu: C-ECHO to a peer."""

from __future__ import annotations

from typing import Any

import click

from ..sop_class import Verification
from .common import associated, entity, request_syntax_options, requested_syntaxes, requestor_options


@click.command()
@requestor_options("echoscu")
@request_syntax_options
@click.option("--repeat", type=click.IntRange(min=1), default=1, metavar="N", help="send it n times")
@click.option("--abort", is_flag=True, help="abort the association instead of releasing it")
def command(repeat: int, abort: bool, **options: Any) -> int:
    """Verify that a peer speaks DICOM."""
    ae = entity(options["calling_aet"], options)
    ae.add_requested_context(Verification, requested_syntaxes(options))
    assoc = associated(ae, options)
    for _ in range(repeat):
        if not assoc.send_c_echo():
            return 1
    if abort:
        assoc.abort()
    else:
        assoc.release()
    return 0
