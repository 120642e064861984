"""findscu: queries a peer."""

from __future__ import annotations

from typing import Any

import click
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, generate_uid

from ..association import Association
from ..presentation import (
    BasicWorklistManagementPresentationContexts,
    QueryRetrievePresentationContexts,
    UnifiedProcedurePresentationContexts,
)
from ..sop_class import ModalityWorklistInformationFind, UnifiedProcedureStepPull
from .common import (
    associated,
    entity,
    extended,
    extended_options,
    identifier,
    model_options,
    query_models,
    query_options,
    requestor_options,
    take_all,
)

_MODELS = {
    **query_models("Find"),
    "worklist": str(ModalityWorklistInformationFind),
    "ups": str(UnifiedProcedureStepPull),
}
_FLAGS = ("relational_query", "dt_matching", "fuzzy_names", "timezone_adj", "enhanced_conversion")


def _capabilities(model: str | None, options: dict[str, Any]) -> list[bool]:
    """The bytes of the extended negotiation (PS3.4 C.5.1.1 and K.5): a worklist has its own."""
    if model != "worklist":
        return [options[flag] for flag in _FLAGS]
    own = [options["fuzzy_names"], options["timezone_adj"]]
    return [True, True, *own] if any(own) else []


@click.command()
@requestor_options("findscu")
@model_options(("-W", "--worklist", "Modality Worklist"), ("-U", "--ups", "Unified Procedure Step"))
@query_options
@click.option("-w", "--write", is_flag=True, help="write the responses to rsp000001.dcm, rsp000002.dcm, ...")
@extended_options(
    ("--relational-query", "relational queries"),
    ("--dt-matching", "date-time matching"),
    ("--fuzzy-names", "fuzzy semantic matching of names"),
    ("--timezone-adj", "timezone query adjustment"),
    ("--enhanced-conversion", "enhanced multi-frame image conversion"),
)
def command(model: str | None, write: bool, **options: Any) -> int:
    """Query a peer. What it answers is logged (-v, -d) or written (-w)."""
    keys = identifier(options)
    sop_class = _MODELS[model]
    ae = entity(options["calling_aet"], options)
    ae.requested_contexts = [
        *QueryRetrievePresentationContexts,
        *BasicWorklistManagementPresentationContexts,
        *UnifiedProcedurePresentationContexts,
    ]
    assoc = associated(ae, options, ext_neg=extended(sop_class, _capabilities(model, options)))
    responses = assoc.send_c_find(keys, sop_class)
    take_all("C-FIND", _written(assoc, sop_class, responses) if write else responses)
    assoc.release()
    return 0


def _written(assoc: Association, model: str, responses: Any) -> Any:
    """The same responses, each identifier written to a file on its way."""
    syntax = next(context.transfer_syntax[0] for context in assoc.accepted_contexts if context.abstract_syntax == model)
    number = 0
    for status, found in responses:
        if isinstance(found, Dataset) and status.get("Status") in (0xFF00, 0xFF01):
            number += 1
            found.file_meta = FileMetaDataset()
            found.file_meta.MediaStorageSOPClassUID = UID(model)
            found.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
            found.file_meta.TransferSyntaxUID = syntax
            found.save_as(f"rsp{number:06d}.dcm", enforce_file_format=True)
        yield status, found
