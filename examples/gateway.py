"""A gateway: receives objects, removes what says whose they are, and passes them on before it answers.

python examples/gateway.py --port 11115 --to ARCHIVE@127.0.0.1:11112
"""

import argparse
import hashlib

from dimsefast import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, AssociationError, Client, evt
from pydicom.uid import UID

CANNOT_PASS_ON = 0xA700
REMOVED = (
    "PatientBirthDate",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "ReferringPhysicianName",
    "InstitutionName",
    "AccessionNumber",
)
RENAMED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


def pseudonym(text, secret):
    return hashlib.blake2b(str(text).encode(), key=secret, digest_size=12).hexdigest()


def anonymize(dataset, secret):
    """A small example, not a de-identification profile: PS3.15 Annex E says what one has to do."""
    for keyword in REMOVED:
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.PatientID = dataset.PatientName = pseudonym(dataset.get("PatientID", ""), secret)
    for keyword in RENAMED:
        if dataset.get(keyword):
            # The same UID gets the same other one, so that what belongs together stays together.
            setattr(dataset, keyword, UID("2.25." + str(int(pseudonym(dataset[keyword].value, secret), 16))))
    dataset.remove_private_tags()
    return dataset


def on_store(event, target, secret):
    dataset = event.dataset
    dataset.file_meta = event.file_meta
    anonymize(dataset, secret)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    try:
        report = target.store(dataset)
    except AssociationError as error:
        print(error, flush=True)
        return CANNOT_PASS_ON
    # Success is said only when the object is where it belongs: the sender keeps it, and tries again.
    return 0x0000 if report.ok else report.failures[0].status or CANNOT_PASS_ON


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=11115)
    parser.add_argument("--to", required=True, metavar="AET@HOST:PORT")
    parser.add_argument("--secret", default="change me", help="what pseudonyms are made with")
    arguments = parser.parse_args()
    ae = AE("GATEWAY")
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    with Client(arguments.to, ae_title="GATEWAY") as target:
        handlers = [(evt.EVT_C_STORE, on_store, [target, arguments.secret.encode()])]
        with ae.start_server(("127.0.0.1", arguments.port), block=False, evt_handlers=handlers) as server:
            print(f"GATEWAY listens on 127.0.0.1:{server.port}", flush=True)
            server.serve_until_shutdown()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
