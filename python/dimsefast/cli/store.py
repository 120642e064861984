"""dimsefast store."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..client.peer import Peer
from .common import client_for, connection_options, finish, json_option, working


@click.command()
@connection_options
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--skip-existing", is_flag=True, help="Leave out what the peer has already, which is asked by C-FIND.")
@click.option(
    "--decompress", is_flag=True, help="Decode compressed pixel data where the peer takes it in no other way."
)
@click.option("-v", "--verbose", is_flag=True, help="Name the files that are no DICOM objects.")
@json_option
def store(
    peer: Peer,
    aet: str,
    aec: str | None,
    timeout: float,
    max_pdu: int | None,
    paths: tuple[Path, ...],
    skip_existing: bool,
    decompress: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """Store files, folders with all that is below them, DICOMDIRs and zip files (C-STORE).

    What is no DICOM object is skipped and counted.

    \b
    dimsefast store ARCHIVE@10.0.0.5:104 folder/ image.dcm study.zip
    dimsefast store ARCHIVE@10.0.0.5:104 /media/cdrom/DICOMDIR --skip-existing
    """
    with client_for(peer, aet, aec, timeout, max_pdu) as client:
        with working("stored", f"to {client.peer.ae_title}", as_json) as work:
            report = client.store(list(paths), work, skip_existing, decompress)
    if verbose:
        for name, reason in report.skipped:
            print(f"skipped: {name}: {reason}", file=sys.stderr)
    if not (report.completed or report.failures or report.existing):
        report.problem = "no DICOM objects there"
    return finish(report, as_json)
