"""The command line: one module for each subcommand."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

import click

from .. import __version__
from .common import Interrupted, one_line
from .echo import echo
from .find import find
from .get import get
from .move import move
from .receive import receive
from .reindex import reindex
from .serve import serve
from .store import store

EPILOG = """\b
Peers are written AET@host:port, an IPv6 address in brackets.
Exit status: 0 all succeeded, 1 something failed, 2 wrong usage, 130 Ctrl-C.

\b
dimsefast echo ARCHIVE@10.0.0.5:104
dimsefast find ARCHIVE@10.0.0.5:104 -k PatientID=123
dimsefast store ARCHIVE@10.0.0.5:104 folder/ more.zip
dimsefast serve archive -p 11112
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", message="dimsefast %(version)s")
def command() -> None:
    """Talk DICOM to archives and modalities, and be one: verify, query, retrieve, store, receive, serve."""


for _subcommand in (echo, find, move, get, store, receive, serve, reindex):
    command.add_command(_subcommand)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns its exit status."""
    # What pydicom thinks of a key such as "2004-" is nothing that whoever typed it could use.
    warnings.filterwarnings("ignore", category=UserWarning, module="pydicom")
    try:
        status = command.main(arguments, prog_name="dimsefast", standalone_mode=False)
        return int(status or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return 2
    except click.UsageError as error:
        hint = f" (see {error.ctx.command_path} --help)" if error.ctx is not None else ""
        print(f"dimsefast: {one_line(error.format_message())}{hint}", file=sys.stderr)
        return 2
    except Interrupted as error:
        print(f"dimsefast: interrupted: {one_line(error)}", file=sys.stderr)
        return 130
    except (KeyboardInterrupt, click.Abort):
        print("dimsefast: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough.
        sys.stderr.close()
        return 1
    except (click.ClickException, OSError, Exception) as error:
        from ..errors import DimsefastError

        if not isinstance(error, (DimsefastError, OSError, ValueError, click.ClickException, RuntimeError)):
            raise
        print(f"dimsefast: {one_line(error)}", file=sys.stderr)
        return 1
