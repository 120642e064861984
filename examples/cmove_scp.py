"""A C-MOVE provider over a folder of DICOM files: stores what matches at the destination that the requestor names.

python examples/cmove_scp.py FOLDER --port 11113 --destination MOVESCU=127.0.0.1:11114
"""

import argparse
from pathlib import Path

from dimsefast import AE, Matcher, MatchError, evt
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelMove as PatientRootMove
from pydicom import dcmread
from pydicom.errors import InvalidDicomError


def objects(folder):
    for path in sorted(folder.rglob("*")):
        try:
            dcmread(path, specific_tags=["SOPInstanceUID"])
        except (InvalidDicomError, IsADirectoryError):
            continue
        yield path


def on_move(event, folder, destinations):
    address = destinations.get(event.move_destination)
    yield address or (None, None)  # not known: A801H
    try:
        query = Matcher(event.identifier, model=event.context.abstract_syntax)
    except MatchError as error:
        yield 1
        yield error.as_status(), None
        return
    matches = list(query.filter(objects(folder)))
    yield len(matches)
    for path in matches:
        yield 0xFF00, path  # streamed from the file as it is; the counts and the final status follow by themselves


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=11113)
    parser.add_argument("--destination", action="append", default=[], metavar="AET=HOST:PORT")
    arguments = parser.parse_args()
    destinations = {}
    for entry in arguments.destination:
        title, _, address = entry.partition("=")
        host, _, port = address.rpartition(":")
        destinations[title] = (host, int(port))
    ae = AE("MOVESCP")
    ae.add_supported_context(PatientRootMove)
    handlers = [(evt.EVT_C_MOVE, on_move, [arguments.folder, destinations])]
    with ae.start_server(("127.0.0.1", arguments.port), block=False, evt_handlers=handlers) as server:
        print(f"MOVESCP listens on 127.0.0.1:{server.port}", flush=True)
        server.serve_until_shutdown()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
