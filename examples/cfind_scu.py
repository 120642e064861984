"""Asks a provider for the studies of a patient.

python examples/cfind_scu.py --port 11112 --patient-id '*'
"""

import argparse

from dimsefast import AE, AssociationError
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelFind as PatientRootFind
from pydicom import Dataset


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=11112)
    parser.add_argument("--patient-id", default="*")
    arguments = parser.parse_args()

    query = Dataset()
    query.QueryRetrieveLevel = "PATIENT"
    query.PatientID = arguments.patient_id
    query.PatientName = ""  # asked for, matches anything
    query.PatientBirthDate = ""

    ae = AE("FINDSCU")
    ae.add_requested_context(PatientRootFind)
    with ae.connect(arguments.host, arguments.port, ae_title="FINDSCP") as assoc:
        for status, identifier in assoc.send_c_find(query, PatientRootFind):
            if "Status" not in status:
                raise SystemExit("the provider did not answer, or broke off")
            if identifier is not None:
                birth = identifier.get("PatientBirthDate") or ""
                print(f"{identifier.PatientID!s:20} {identifier.PatientName!s:30} {birth}")
            elif status.Status != 0x0000:
                raise SystemExit(f"the query failed: {status.Status:04X}H {status.get('ErrorComment', '')}")


if __name__ == "__main__":
    try:
        main()
    except AssociationError as error:
        raise SystemExit(str(error)) from None
