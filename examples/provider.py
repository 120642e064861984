"""A query/retrieve provider over a folder, all six services, on the association level.

python examples/provider.py FOLDER --port 0 --destination SELF=127.0.0.1:11114 [--list FILE]
"""

import argparse
import warnings
from pathlib import Path

from dimsefast import AE, Matcher, MatchError, evt, presentation
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

warnings.simplefilter("ignore", UserWarning)  # pydicom's, about values that break the standard's rules

UNIQUE = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}


class Holdings:
    """The headers of the objects in a folder, by SOP Instance UID: the first file by path of each."""

    def __init__(self, folder):
        self.folder = folder
        self.headers, self.paths, self.skipped = {}, {}, []
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.add(path)

    def add(self, path):
        try:
            header = dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, OSError, ValueError) as error:
            self.skipped.append((path, str(error)))
            return
        uid = header.get("SOPInstanceUID")
        if not uid or not header.get("SOPClassUID"):
            self.skipped.append((path, "no SOP Class UID or SOP Instance UID"))
        elif "TransferSyntaxUID" not in header.file_meta:
            self.skipped.append((path, "no Transfer Syntax UID"))
        elif uid in self.paths:
            self.skipped.append((path, f"the same instance as {self.paths[uid].name}"))
        else:
            self.headers[uid], self.paths[uid] = header, path

    def matching(self, event):
        query = Matcher(event.identifier, model=event.context.abstract_syntax)
        return query, [uid for uid, header in list(self.headers.items()) if query.matches(header)]


def on_store(event, holdings):
    holdings.add(event.dataset_path)
    return 0x0000


def on_find(event, holdings):
    try:
        query, matches = holdings.matching(event)
    except MatchError as error:
        yield error.as_status(), None
        return
    seen = set()
    for uid in matches:
        header = holdings.headers[uid]
        entity = header.get(UNIQUE[query.level]) or None  # an empty one is the same as none
        if entity not in seen:
            seen.add(entity)
            yield 0xFF00, query.response(header, retrieve_aet=event.assoc.ae.ae_title)


def sub_operations(event, holdings):
    try:
        _, matches = holdings.matching(event)
    except MatchError as error:
        yield 1
        yield error.as_status(), None
        return
    yield len(matches)
    for uid in matches:
        yield 0xFF00, holdings.paths[uid]


def on_move(event, holdings, destinations):
    yield destinations.get(event.move_destination) or (None, None)
    yield from sub_operations(event, holdings)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=11112)
    parser.add_argument("--ae-title", default="PROVIDER")
    parser.add_argument("--destination", action="append", default=[], metavar="AET=HOST:PORT")
    parser.add_argument("--incoming", type=Path, help="folder for what is stored; default: the folder itself")
    parser.add_argument("--maximum-pdu-size", type=int)
    arguments = parser.parse_args()
    destinations = {}
    for entry in arguments.destination:
        title, _, address = entry.partition("=")
        host, _, port = address.rpartition(":")
        destinations[title] = (host, int(port))
    holdings = Holdings(arguments.folder)
    for path, reason in holdings.skipped:
        print(f"skipped {path.name}: {reason}")
    ae = AE(arguments.ae_title)
    if arguments.maximum_pdu_size is not None:
        ae.maximum_pdu_size = arguments.maximum_pdu_size
    for context in presentation.VerificationPresentationContexts + presentation.QueryRetrievePresentationContexts:
        ae.add_supported_context(context.abstract_syntax)
    for context in presentation.AllStoragePresentationContexts:  # both roles: C-GET turns them around
        ae.add_supported_context(context.abstract_syntax, presentation.ALL_TRANSFER_SYNTAXES, True, True)
    handlers = [
        (evt.EVT_C_STORE, on_store, [holdings]),
        (evt.EVT_C_FIND, on_find, [holdings]),
        (evt.EVT_C_GET, sub_operations, [holdings]),
        (evt.EVT_C_MOVE, on_move, [holdings, destinations]),
    ]
    store_to = arguments.incoming or arguments.folder
    store_to.mkdir(exist_ok=True)
    address = ("127.0.0.1", arguments.port)
    with ae.start_server(address, block=False, evt_handlers=handlers, store_to=store_to) as server:
        print(f"{ae.ae_title} listens on 127.0.0.1:{server.port} with {len(holdings.paths)} objects", flush=True)
        server.serve_until_shutdown()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
