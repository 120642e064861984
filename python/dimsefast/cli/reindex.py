"""dimsefast reindex."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from ..archive.configuration import ConfigurationError, load
from ..client.progress import progress_handler
from ..client.reports import Progress
from .common import Interrupted, log_option, one_line


@click.command()
@click.argument("folder", required=False, metavar="[FOLDER]")
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), metavar="FILE", help="The configuration of the archive."
)
@click.option("--database", metavar="TEXT", help="SQLAlchemy's URL of the index. Default: SQLite, in the folder.")
@log_option
@click.option("--json", "as_json", is_flag=True, help="Write a summary as JSON.")
def reindex(folder: str | None, config: Path | None, database: str | None, as_json: bool) -> int:
    """Make the index of an archive anew from its files.

    For an index that is damaged, lost, or of another version, and for a folder that has nothing but `objects`, from a
    backup. The files are only read. The archive must not be served meanwhile. What cannot be indexed is listed, and the
    exit status is 1 then.

    \b
    dimsefast reindex archive
    dimsefast reindex -c serve.toml --json
    """
    if config is not None:
        try:
            storage = load(config).storage
        except ConfigurationError as error:
            raise click.UsageError(str(error), click.get_current_context()) from None
        folder, database = folder or storage.location, database or storage.database
    if not folder:
        raise click.UsageError("where is the archive? Give its folder", click.get_current_context())
    if "://" not in folder and not Path(folder).is_dir():
        raise click.UsageError(f"there is no folder {folder}", click.get_current_context())
    from ..archive.archive import Archive

    done, total = 0, 0
    with progress_handler(not as_json, "indexing", with_bytes=False) as show:

        def told(now: int, of: int) -> None:
            nonlocal done, total
            done, total = now, of
            if show is not None:
                show(Progress(done, total, 0, None, 0))

        try:
            with Archive(folder, database=database or None, rebuild=True) as archive:
                result = archive.reindex(told)
                held = archive.statistics()
        except KeyboardInterrupt:
            raise Interrupted(f"{done} of {total} objects indexed; reindex again") from None
    for name, reason in result.failed:
        print(f"failed: {name}: {one_line(reason)}", file=sys.stderr)
    if as_json:
        failed = [{"name": name, "reason": reason} for name, reason in result.failed]
        print(json.dumps({"indexed": result.indexed, "failed": failed, **held}))
    else:
        counts = f"{held['patients']} patients, {held['studies']} studies, {held['series']} series"
        failures = f", {len(result.failed)} failed" if result.failed else ""
        print(f"{result.indexed} objects indexed at {archive.folder}{failures}: {counts}")
    return 1 if result.failed else 0
