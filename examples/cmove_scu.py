"""Retrieves a patient's objects with C-MOVE and is its own receiver.

python examples/cmove_scu.py --port 11113 --listen 11114 --patient-id 1CT1 --into incoming
"""

import argparse
from pathlib import Path

from dimsefast import AE, AssociationError, presentation
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelMove as PatientRootMove
from pydicom import Dataset


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=11113)
    parser.add_argument("--listen", type=int, default=11114)
    parser.add_argument("--patient-id", required=True)
    parser.add_argument("--into", type=Path, default=Path("incoming"))
    arguments = parser.parse_args()
    arguments.into.mkdir(exist_ok=True)

    query = Dataset()
    query.QueryRetrieveLevel = "PATIENT"
    query.PatientID = arguments.patient_id

    ae = AE("MOVESCU")
    ae.add_requested_context(PatientRootMove)
    for context in presentation.AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, presentation.ALL_TRANSFER_SYNTAXES)
    # The receiver must run before the provider is asked: it opens an association to us.
    status = Dataset()
    with (
        ae.start_server(("127.0.0.1", arguments.listen), block=False, store_to=arguments.into),
        ae.connect(arguments.host, arguments.port, ae_title="MOVESCP") as assoc,
    ):
        for status, _ in assoc.send_c_move(query, "MOVESCU", PatientRootMove):
            if "Status" not in status:
                raise SystemExit("the provider did not answer, or broke off")
            counts = [
                status.get(f"NumberOf{kind}Suboperations", 0)
                for kind in ("Remaining", "Completed", "Failed", "Warning")
            ]
            print("{:04X}H: {} remaining, {} completed, {} failed, {} warnings".format(status.Status, *counts))
    if status.Status != 0x0000:
        raise SystemExit(f"not everything arrived: {status.Status:04X}H {status.get('ErrorComment', '')}")


if __name__ == "__main__":
    try:
        main()
    except AssociationError as error:
        raise SystemExit(str(error)) from None
