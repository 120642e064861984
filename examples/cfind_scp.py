"""A C-FIND provider over a folder of DICOM files: each match leaves as soon as it is found.

python examples/cfind_scp.py FOLDER --port 11112
"""

import argparse
from pathlib import Path

from dimsefast import AE, Matcher, MatchError, evt
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelFind, Verification
from pydicom import dcmread
from pydicom.errors import InvalidDicomError


def datasets(folder):
    for path in sorted(folder.rglob("*")):
        try:
            yield dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, IsADirectoryError):
            continue


def on_find(event, folder):
    try:
        query = Matcher(event.identifier, model=event.context.abstract_syntax)
    except MatchError as error:
        yield error.as_status(), None  # A900H, with the element at fault
        return
    unique = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID"}
    seen = set()
    for dataset in query.filter(datasets(folder)):
        entity = dataset.get(unique.get(query.level or "", "SOPInstanceUID")) or None
        if entity not in seen:  # one response for each patient, study, series or image
            seen.add(entity)
            yield 0xFF00, query.response(dataset, retrieve_aet=event.assoc.ae.ae_title)
        if event.is_cancelled:
            yield 0xFE00, None
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=11112)
    arguments = parser.parse_args()
    ae = AE("FINDSCP")
    ae.add_supported_context(Verification)
    ae.add_supported_context(PatientRootQueryRetrieveInformationModelFind)
    handlers = [(evt.EVT_C_FIND, on_find, [arguments.folder])]
    with ae.start_server(("127.0.0.1", arguments.port), block=False, evt_handlers=handlers) as server:
        print(f"FINDSCP listens on 127.0.0.1:{server.port}", flush=True)
        server.serve_until_shutdown()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
