"""movescu: has objects sent, to a third party or to a storage SCP of its own."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from ..ae import AE
from ..presentation import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, QueryRetrievePresentationContexts
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

_MODELS = query_models("Move")


def _storage_provider(title: str, options: dict[str, Any]) -> AE:
    ae = entity(title, options)
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(str(context.abstract_syntax), list(ALL_TRANSFER_SYNTAXES))
    return ae


@click.command()
@requestor_options("movescu")
@click.option("-aem", "--move-aet", default="STORESCP", show_default=True, help="AE title of the destination")
@model_options()
@query_options
@click.option("--store", is_flag=True, help="start a storage SCP, which can be the destination")
@click.option("--store-port", type=click.IntRange(0, 65535), default=11113, show_default=True, help="its port")
@click.option("--store-aet", default="STORESCP", show_default=True, help="its AE title")
@extended_options(
    ("--relational-retrieval", "relational retrieval"),
    ("--enhanced-conversion", "enhanced multi-frame image conversion"),
)
@output_options
def command(
    model: str | None,
    move_aet: str,
    store: bool,
    store_port: int,
    store_aet: str,
    relational_retrieval: bool,
    enhanced_conversion: bool,
    **options: Any,
) -> int:
    """Have objects sent by C-MOVE."""
    keys = identifier(options)
    sop_class = _MODELS[model]
    ae = entity(options["calling_aet"], options)
    ae.requested_contexts = list(QueryRetrievePresentationContexts)
    with contextlib.ExitStack() as ending:
        if store:
            provider = ending.enter_context(_storage_provider(store_aet, options))
            provider.start_server(("", store_port), block=False, store_to=store_target(options))
        item = extended(sop_class, [relational_retrieval, enhanced_conversion])
        assoc = associated(ae, options, ext_neg=item)
        take_all("C-MOVE", assoc.send_c_move(keys, move_aet or options["calling_aet"], sop_class))
        assoc.release()
    return 0
