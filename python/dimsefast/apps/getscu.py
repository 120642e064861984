"""getscu: retrieves objects over its own association."""

from __future__ import annotations

from typing import Any

import click

from ..presentation import StoragePresentationContexts, build_role
from .common import (
    associated,
    entity,
    extended,
    extended_options,
    identifier,
    model_options,
    output_options,
    query_models,
    query_options,
    requestor_options,
    store_target,
    take_all,
)

_MODELS = query_models("Get")


@click.command()
@requestor_options("getscu")
@model_options()
@query_options
@extended_options(
    ("--relational-retrieval", "relational retrieval"),
    ("--enhanced-conversion", "enhanced multi-frame image conversion"),
)
@output_options
def command(model: str | None, relational_retrieval: bool, enhanced_conversion: bool, **options: Any) -> int:
    """Retrieve objects by C-GET."""
    keys = identifier(options)
    sop_class = _MODELS[model]
    ae = entity(options["calling_aet"], options)
    for known in dict.fromkeys(_MODELS.values()):
        ae.add_requested_context(known)
    roles: list[Any] = []
    for context in StoragePresentationContexts:
        ae.add_requested_context(str(context.abstract_syntax))
        roles.append(build_role(str(context.abstract_syntax), scp_role=True))
    roles += extended(sop_class, [relational_retrieval, enhanced_conversion])
    assoc = associated(ae, options, ext_neg=roles, store_to=store_target(options))
    take_all("C-GET", assoc.send_c_get(keys, sop_class))
    assoc.release()
    return 0
