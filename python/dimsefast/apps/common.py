"""What the programs share: options, logging, information models, identifiers, storing."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from .. import AE, ALL_TRANSFER_SYNTAXES, DISCARD, StoreTo, __version__, evt, sop_class
from ..ae import DEFAULT_MAXIMUM_PDU_SIZE
from ..association import Association
from ..cli.keys import add_key
from ..log import LOGGER as LIBRARY
from ..log import refresh_level
from ..negotiation import SOPClassExtendedNegotiation

LOGGER = logging.getLogger("dimsefast.apps")

F = TypeVar("F", bound=Callable[..., Any])

_LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
_UNCOMPRESSED = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
]


def run(command: click.Command, name: str, arguments: Sequence[str]) -> int:
    """Runs a program; returns its exit status."""
    # An option that is spelled "-x=" is none that click would take.
    given = ["--prefer-uncompr" if argument == "-x=" else argument for argument in arguments]
    try:
        return int(command.main(given, prog_name=name, standalone_mode=False) or 0)
    except click.UsageError as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        return 130


#: What the names of received files begin with.
_PREFIXES = {
    "CTImageStorage": "CT",
    "EnhancedCTImageStorage": "CTE",
    "MRImageStorage": "MR",
    "EnhancedMRImageStorage": "MRE",
    "PositronEmissionTomographyImageStorage": "PT",
    "EnhancedPETImageStorage": "PTE",
    "RTImageStorage": "RI",
    "RTDoseStorage": "RD",
    "RTPlanStorage": "RP",
    "RTStructureSetStorage": "RS",
    "ComputedRadiographyImageStorage": "CR",
    "UltrasoundImageStorage": "US",
    "EnhancedUSVolumeStorage": "USE",
    "XRayAngiographicImageStorage": "XA",
    "EnhancedXAImageStorage": "XAE",
    "NuclearMedicineImageStorage": "NM",
    "SecondaryCaptureImageStorage": "SC",
}


# Options
# ---------------------------------------------------------------------------------------------------------------------


def _applied(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _show_version(context: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"{context.info_name}.py v{__version__}")
        context.exit()


def _log_as(level: int | None) -> None:
    """What the library and the program log goes to the standard error output, from this level on; None for nothing."""
    if level is None:
        LIBRARY.handlers = [logging.NullHandler()]
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname).1s: %(message)s"))
    LIBRARY.addHandler(handler)
    LIBRARY.setLevel(level)
    refresh_level()


def _set_logging(_context: click.Context, _option: click.Parameter, level: str | None) -> None:
    """Eager options have said more by now, or this one does."""
    chosen = _context.meta.get("dimsefast.log")
    if level is not None:
        _log_as(_LEVELS[level])
    elif chosen == "quiet":
        _log_as(None)
    else:
        _log_as({"verbose": logging.INFO, "debug": logging.DEBUG}.get(str(chosen), logging.ERROR))


def _remember(context: click.Context, option: click.Parameter, on: bool) -> None:
    if on:
        if "dimsefast.log" in context.meta:
            raise click.UsageError("only one of -q, -v and -d", context)
        context.meta["dimsefast.log"] = option.name


def _log_flag(*names: str, words: str) -> Callable[[F], F]:
    return click.option(*names, is_flag=True, is_eager=True, expose_value=False, callback=_remember, help=words)


general_options = _applied(
    [
        click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version),
        _log_flag("-q", "--quiet", words="no warnings and errors"),
        _log_flag("-v", "--verbose", words="what is done"),
        _log_flag("-d", "--debug", words="everything that passes"),
        click.option("-ll", "--log-level", type=click.Choice(list(_LEVELS)), expose_value=False, callback=_set_logging),
    ]
)


def _timeouts() -> list[Callable[[F], F]]:
    return [
        click.option("-ta", "--acse-timeout", type=float, default=30, show_default=True, metavar="SECONDS"),
        click.option("-td", "--dimse-timeout", type=float, default=30, show_default=True, metavar="SECONDS"),
        click.option("-tn", "--network-timeout", type=float, default=30, show_default=True, metavar="SECONDS"),
        click.option(
            "-pdu",
            "--max-pdu",
            type=click.IntRange(min=0),
            default=DEFAULT_MAXIMUM_PDU_SIZE,
            show_default=True,
            metavar="BYTES",
            help="longest PDU that is received, 0 for no limit",
        ),
    ]


def requestor_options(name: str) -> Callable[[F], F]:
    """Where the peer is, and how it is called."""
    return _applied(
        [
            click.argument("addr"),
            click.argument("port", type=click.IntRange(1, 65535)),
            general_options,
            click.option("-aet", "--calling-aet", default=name.upper(), show_default=True, help="our AE title"),
            click.option("-aec", "--called-aet", default="ANY-SCP", show_default=True, help="the peer's AE title"),
            *_timeouts(),
        ]
    )


def acceptor_options(name: str) -> Callable[[F], F]:
    """Where to listen, and what to prefer."""
    return _applied(
        [
            click.argument("port", type=click.IntRange(0, 65535)),
            general_options,
            click.option("-aet", "--ae-title", default=name.upper(), show_default=True, help="our AE title"),
            *_timeouts(),
            click.option("-ba", "--bind-address", default="", help="the address to listen on; all without"),
            click.option("--prefer-uncompr", is_flag=True, help="also as -x=: prefer anything to Implicit VR"),
            click.option("-xe", "--prefer-little", is_flag=True, help="prefer Explicit VR Little Endian"),
            click.option("-xb", "--prefer-big", is_flag=True, help="prefer Explicit VR Big Endian"),
            click.option("-xi", "--implicit", is_flag=True, help="accept Implicit VR Little Endian only"),
        ]
    )


request_syntax_options = _applied(
    [
        click.option("-xe", "--request-little", is_flag=True, help="Explicit VR Little Endian only"),
        click.option("-xb", "--request-big", is_flag=True, help="Explicit VR Big Endian only"),
        click.option("-xi", "--request-implicit", is_flag=True, help="Implicit VR Little Endian only"),
    ]
)

query_options = _applied(
    [
        click.option(
            "-k",
            "--keyword",
            "keys",
            multiple=True,
            metavar="KEY=VALUE",
            help="an element of the identifier: PatientName=*, (0010,0010)=*, a path through sequences with dots",
        ),
        click.option("-f", "--file", "file", metavar="FILE", help="a DICOM file that is the identifier"),
    ]
)

output_options = _applied(
    [
        click.option("-od", "--output-directory", "folder", metavar="FOLDER", help="where received objects go"),
        click.option("--ignore", is_flag=True, help="receive objects and do not store them"),
    ]
)


def model_options(*more: tuple[str, str, str]) -> Callable[[F], F]:
    """-P, -S, -O and further ones (short, long, words): the information model."""
    models = (
        ("-P", "--patient", "Patient Root (default)"),
        ("-S", "--study", "Study Root"),
        ("-O", "--psonly", "Patient/Study Only"),
        *more,
    )
    return _applied(
        [
            click.option(short, long, "model", flag_value=long.lstrip("-"), help=f"{words} information model")
            for short, long, words in models
        ]
    )


def extended_options(*options: tuple[str, str]) -> Callable[[F], F]:
    """Flags of extended negotiation: (name, words)."""
    return _applied([click.option(name, is_flag=True, help=f"request {words}") for name, words in options])


# What they do
# -----------------------------------------------------------------------------------------------------------------


def entity(title: str, options: dict[str, Any]) -> AE:
    """The AE that the options describe."""
    ae = AE(title)
    ae.acse_timeout = options["acse_timeout"]
    ae.dimse_timeout = options["dimse_timeout"]
    ae.network_timeout = options["network_timeout"]
    ae.maximum_pdu_size = options["max_pdu"]
    return ae


def acceptor(options: dict[str, Any]) -> AE:
    """The same for who accepts. With a preference of its own it takes what it prefers, else the requestor's order."""
    ae = entity(options["ae_title"], options)
    ae.prefer_own_transfer_syntaxes = any(options[name] for name in ("prefer_uncompr", "prefer_little", "prefer_big"))
    return ae


def echoed(event: evt.Event) -> int:
    """A handler of C-ECHO that says who asked."""
    peer = event.assoc.requestor
    LOGGER.info("Received C-ECHO request from %s:%s at %s", peer.address, peer.port, event.timestamp)
    return 0x0000


def serve(ae: AE, address: tuple[str, int], **options: Any) -> int:
    """Serves until Ctrl-C, or SIGTERM: then with the exit status of who dies of it, but with nothing left unsaid."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    ae.start_server(address, **options)
    return 0


def associated(ae: AE, options: dict[str, Any], **more: Any) -> Association:
    """The association that the options describe; ends the program where none comes about."""
    association = ae.associate(options["addr"], options["port"], ae_title=options["called_aet"], **more)
    if not association.is_established:
        raise click.exceptions.Exit(1)
    return association


def requested_syntaxes(options: dict[str, Any]) -> list[Any]:
    """The transfer syntaxes to propose."""
    if options["request_little"]:
        return [ExplicitVRLittleEndian]
    if options["request_big"]:
        return [ExplicitVRBigEndian]
    return [ImplicitVRLittleEndian] if options["request_implicit"] else list(_UNCOMPRESSED)


def supported_syntaxes(options: dict[str, Any]) -> list[Any]:
    """The transfer syntaxes to accept, those that are preferred first."""
    if options["implicit"]:
        return [ImplicitVRLittleEndian]
    syntaxes = list(ALL_TRANSFER_SYNTAXES)
    if options["prefer_uncompr"]:
        return [*(syntax for syntax in syntaxes if syntax != ImplicitVRLittleEndian), ImplicitVRLittleEndian]
    first = [
        *([ExplicitVRLittleEndian] if options["prefer_little"] else []),
        *([ExplicitVRBigEndian] if options["prefer_big"] else []),
    ]
    return [*first, *(syntax for syntax in syntaxes if syntax not in first)]


def identifier(options: dict[str, Any]) -> Dataset:
    """The identifier of -f and -k. Ends the program where there is none in them."""
    dataset = Dataset()
    if options["file"]:
        try:
            dataset = dcmread(options["file"], force=True)
            dataset.remove_private_tags()
        except (OSError, InvalidDicomError, ValueError) as error:
            LIBRARY.error("Cannot read input file %s: %s", options["file"], error)
            raise click.exceptions.Exit(1) from None
    for key in options["keys"]:
        add_key(dataset, key)
    return dataset


def query_models(service: str) -> dict[str | None, str]:
    """The Query/Retrieve information models of "Find", "Get" or "Move", by the option that chooses one."""
    roots = {None: "PatientRoot", "patient": "PatientRoot", "study": "StudyRoot", "psonly": "PatientStudyOnly"}
    return {
        option: str(getattr(sop_class, f"{root}QueryRetrieveInformationModel{service}"))
        for option, root in roots.items()
    }


def extended(model: str, flags: Sequence[bool]) -> list[SOPClassExtendedNegotiation]:
    """The item that asks for these capabilities of an information model; none where there are none."""
    if not any(flags):
        return []
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = model
    item.service_class_application_information = bytes(flags)
    return [item]


def store_target(options: dict[str, Any]) -> Any:
    """Where received objects go: `store_to` of a server or an association."""
    if options["ignore"]:
        return DISCARD
    folder = Path(options["folder"] or ".")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        LIBRARY.error("Unable to create the output directory %s: %s", folder, error)
        sys.exit(1)
    others = _named(folder, "UN")
    known = {str(getattr(sop_class, keyword)): _named(folder, prefix) for keyword, prefix in _PREFIXES.items()}
    return StoreTo(lambda request, _association, _header: known.get(request.AffectedSOPClassUID, others), attributes=())


def _named(folder: Path, prefix: str) -> StoreTo:
    return StoreTo(folder, layout=f"{prefix}.{{SOPInstanceUID}}", duplicates="replace")


def take_all(name: str, responses: Any) -> None:
    """Takes all responses, and says where no final one came: the exit status says nothing of what the peer answered."""
    code: int | None = None
    for status, _ in responses:
        code = status.get("Status")
    if code is None:
        LIBRARY.error("%s: no final response came", name)
