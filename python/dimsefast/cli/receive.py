"""dimsefast receive."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import click
from pydicom.uid import UID

from ..client.receiver import Received, Receiver
from ..client.reports import size_words
from .common import Interrupted, chosen_tls, folder_option, log_option, max_pdu_option, tls_options


@click.command()
@click.argument("listen", metavar="[HOST:]PORT")
@click.option(
    "-aet", "--aetitle", "aet", default="DIMSEFAST", show_default=True, metavar="AET", help="Our own AE title."
)
@folder_option
@max_pdu_option
@tls_options
@log_option
@click.option("--json", "as_json", is_flag=True, help="Write a JSON object on each line.")
def receive(listen: str, aet: str, folder: Path, max_pdu: int | None, as_json: bool) -> int:
    """Receive objects into a folder until Ctrl-C (C-STORE).

    \b
    dimsefast receive 11112 -aet STORE -od incoming
    dimsefast receive [::1]:11112 -od incoming --json
    """
    lock, count, size = threading.Lock(), 0, 0

    def told(received: Received) -> None:
        nonlocal count, size
        with lock:
            count, size = count + 1, size + received.bytes
            if as_json:
                row = {**received._asdict(), "path": str(received.path)}
                print(json.dumps(row), flush=True)
            else:
                cls = UID(received.sop_class_uid).name
                sender = "".join(c for c in received.sender if c.isprintable())
                print(f"{received.path}  {cls}  {size_words(received.bytes)}  from {sender}", flush=True)

    try:
        address = listen if ":" in listen else f"0.0.0.0:{listen}"
        receiver = Receiver(aet, address, folder, told, max_pdu, chosen_tls())
    except ValueError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    with receiver:
        try:
            if as_json:
                print(json.dumps({"listening": receiver.address, "ae_title": aet}), flush=True)
            else:
                print(f"{aet} listens at {receiver.address}, into {folder}", flush=True)
            for_ever = threading.Event()
            # A signal that comes just before the wait would not end it.
            while not for_ever.wait(1.0):
                pass
        except KeyboardInterrupt:
            raise Interrupted(f"{count} objects received, {size_words(size)}") from None
    return 0
