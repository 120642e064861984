"""A Modality Worklist provider over a list of appointments in a JSON file.

python examples/worklist.py appointments.json --port 11116

[{"patient_id": "1", "patient_name": "Doe^Jane", "accession_number": "A1", "modality": "CT", "station": "CT1",
  "start": "2026-11-25T10:30"}]
"""

import argparse
import json
from datetime import datetime
from pathlib import Path

from dimsefast import AE, Matcher, MatchError, evt, sop_class
from pydicom import Dataset
from pydicom.uid import generate_uid

WORKLIST = sop_class.ModalityWorklistInformationFind


def item(appointment):
    """PS3.4 Table K.6-1: what a modality needs to know of a scheduled procedure step."""
    start = datetime.fromisoformat(appointment["start"])
    step = Dataset()
    step.Modality = appointment["modality"]
    step.ScheduledStationAETitle = appointment["station"]
    step.ScheduledProcedureStepStartDate = f"{start:%Y%m%d}"
    step.ScheduledProcedureStepStartTime = f"{start:%H%M%S}"
    step.ScheduledProcedureStepDescription = appointment.get("description", "")
    step.ScheduledProcedureStepID = appointment["accession_number"]
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientID = appointment["patient_id"]
    dataset.PatientName = appointment["patient_name"]
    dataset.AccessionNumber = appointment["accession_number"]
    dataset.RequestedProcedureID = appointment["accession_number"]
    dataset.RequestedProcedureDescription = appointment.get("description", "")
    # The same appointment has the same study, however often it is asked for.
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[appointment["accession_number"], appointment["patient_id"]])
    dataset.ScheduledProcedureStepSequence = [step]
    return dataset


def on_find(event, path):
    try:
        matcher = Matcher(event.identifier, model=event.context.abstract_syntax)
    except MatchError as error:
        yield error.as_status(), None
        return
    for dataset in matcher.filter(map(item, json.loads(path.read_text()))):
        yield 0xFF00, matcher.response(dataset)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("appointments", type=Path)
    parser.add_argument("--port", type=int, default=11116)
    arguments = parser.parse_args()
    ae = AE("WORKLIST")
    ae.add_supported_context(WORKLIST)
    handlers = [(evt.EVT_C_FIND, on_find, [arguments.appointments])]
    with ae.start_server(("127.0.0.1", arguments.port), block=False, evt_handlers=handlers) as server:
        print(f"WORKLIST listens on 127.0.0.1:{server.port}", flush=True)
        server.serve_until_shutdown()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
