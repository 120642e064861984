"""Asks a provider to send a patient's objects to somebody else: the destination is a third AE (see cstore_scp.py).

python examples/cmove_third_party.py --port 11113 --destination STORESCP --patient-id 1CT1
"""

import argparse

from dimsefast import AE, AssociationError
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelMove as PatientRootMove
from pydicom import Dataset


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=11113)
    parser.add_argument("--destination", default="STORESCP")
    parser.add_argument("--patient-id", required=True)
    arguments = parser.parse_args()

    query = Dataset()
    query.QueryRetrieveLevel = "PATIENT"
    query.PatientID = arguments.patient_id

    ae = AE("MOVESCU")
    ae.add_requested_context(PatientRootMove)
    status = Dataset()
    with ae.connect(arguments.host, arguments.port, ae_title="MOVESCP") as assoc:
        for status, _ in assoc.send_c_move(query, arguments.destination, PatientRootMove):
            if "Status" not in status:
                raise SystemExit("the provider did not answer, or broke off")
            print(f"{status.Status:04X}H: {status.get('NumberOfCompletedSuboperations', 0)} completed")
    if status.Status != 0x0000:
        raise SystemExit(f"not everything was sent: {status.Status:04X}H {status.get('ErrorComment', '')}")


if __name__ == "__main__":
    try:
        main()
    except AssociationError as error:
        raise SystemExit(str(error)) from None
