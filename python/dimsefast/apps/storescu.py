"""storescu: sends files."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ..ae import AE
from ..entity_settings import MOST_REQUESTED_CONTEXTS
from ..objects import store_object
from ..presentation import StoragePresentationContexts
from .common import associated, entity, request_syntax_options, requested_syntaxes, requestor_options

LOGGER = logging.getLogger("dimsefast.apps.storescu")


def _files(path: Path, recurse: bool) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from sorted(found for found in (path.rglob("*") if recurse else path.glob("*")) if found.is_file())
    else:
        LOGGER.error("Cannot access path: %s", path)


def _require_contexts(ae: AE, files: list[Path]) -> list[Path]:
    """Proposes what the files need; those that are DICOM."""
    wanted: dict[str, set[str]] = defaultdict(set)
    usable = []
    for file in files:
        try:
            found = store_object(file)
        except (OSError, ValueError, AttributeError) as error:
            LOGGER.error("Bad DICOM file: %s: %s", file, error)
            continue
        wanted[found.sop_class].add(found.transfer_syntax)
        usable.append(file)
    pairs = [(sop_class, syntax) for sop_class, syntaxes in wanted.items() for syntax in sorted(syntaxes)]
    if len(pairs) > MOST_REQUESTED_CONTEXTS:
        raise click.UsageError(f"the files need {len(pairs)} presentation contexts, and 128 are possible: send fewer")
    for sop_class, syntax in pairs:
        ae.add_requested_context(sop_class, syntax)
    return usable


@click.command()
@requestor_options("storescu")
@click.argument("paths", metavar="PATH", nargs=-1, required=True, type=click.Path(path_type=Path))
@request_syntax_options
@click.option("-r", "--recurse", is_flag=True, help="look into the folders of a folder, too")
@click.option("-cx", "--required-contexts", is_flag=True, help="propose only the contexts that the files need")
def command(paths: tuple[Path, ...], recurse: bool, required_contexts: bool, **options: Any) -> int:
    """Send DICOM files, and those in a folder."""
    files = [file for path in paths for file in _files(path, recurse)]
    ae = entity(options["calling_aet"], options)
    if required_contexts:
        files = _require_contexts(ae, files)
    else:
        for context in StoragePresentationContexts:
            ae.add_requested_context(str(context.abstract_syntax), requested_syntaxes(options))
    if not files:
        LOGGER.warning("No suitable DICOM files found")
        return 0
    assoc = associated(ae, options)
    for result in assoc.store(files):
        LOGGER.info("Sending file: %s", result.source)
        if result.error is not None:
            LOGGER.error("Store failed: %s: %s", result.source, result.error)
    assoc.release()
    return 0
