"""What needs no network: items, contexts, SOP classes, statuses, the AE's settings."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import dimsefast
import pytest
from dimsefast import AE, _config, _uids, build_context, build_role, pdu_primitives, sop_class
from dimsefast.negotiation import from_item
from dimsefast.presentation import PREBUILT_LISTS, PresentationContext
from dimsefast.service_class import ServiceClass, StorageServiceClass
from dimsefast.status import Status, StatusDataset, code_to_category, code_to_status
from pydicom import Dataset
from pydicom.uid import UID

LENGTHS = {
    "AllStorage": 170,
    "ApplicationEventLogging": 2,
    "BasicWorklistManagement": 1,
    "ColorPalette": 3,
    "DefinedProcedureProtocol": 3,
    "DisplaySystem": 1,
    "HangingProtocol": 3,
    "ImplantTemplate": 9,
    "InstanceAvailability": 1,
    "MediaCreationManagement": 1,
    "MediaStorage": 1,
    "ModalityPerformed": 3,
    "NonPatientObject": 9,
    "PrintManagement": 11,
    "ProcedureStep": 3,
    "ProtocolApproval": 3,
    "QueryRetrieve": 13,
    "RTMachineVerification": 2,
    "RelevantPatientInformation": 3,
    "Storage": 120,
    "StorageCommitment": 1,
    "SubstanceAdministration": 2,
    "UnifiedProcedure": 5,
    "Verification": 1,
}


# Presentation contexts


def test_the_prebuilt_lists_have_their_lengths_and_order() -> None:
    assert len(PREBUILT_LISTS) == len(LENGTHS) == 24
    for name, length in LENGTHS.items():
        contexts = getattr(dimsefast, f"{name}PresentationContexts")
        uids = [context.abstract_syntax for context in contexts]
        assert len(uids) == length and uids == sorted(uids), name
        assert all(context.context_id is None and len(context.transfer_syntax) == 4 for context in contexts)


def test_a_context_checks_what_it_is_given() -> None:
    context = build_context("1.2.840.10008.1.1")
    for bad in (0, 2, 257):
        with pytest.raises(ValueError):
            context.context_id = bad
    with pytest.raises(TypeError):
        context.transfer_syntax = "1.2.840.10008.1.2"  # type: ignore[assignment]
    with pytest.raises(TypeError):
        context.scu_role = 1  # type: ignore[assignment]
    context.transfer_syntax = ["1.2.840.10008.1.2", "1.2.840.10008.1.2", "nonsense", 7]
    assert context.transfer_syntax == [UID("1.2.840.10008.1.2")]
    assert repr(context) == "Verification SOP Class" and context.status == "Pending"
    assert len({context, build_context("1.2.840.10008.1.1")}) == 2


def test_the_ae_keeps_its_contexts() -> None:
    ae = AE()
    ae.add_supported_context("1.2.840.10008.1.1", "1.2.840.10008.1.2", True, False)
    ae.add_supported_context("1.2.840.10008.1.1", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
    (context,) = ae.supported_contexts
    assert len(context.transfer_syntax) == 2 and context.scu_role is None
    ae.remove_supported_context("1.2.840.10008.1.1", "1.2.840.10008.1.2")
    assert [str(syntax) for syntax in ae.supported_contexts[0].transfer_syntax] == ["1.2.840.10008.1.2.1"]
    ae.remove_supported_context("1.2.840.10008.1.1")
    assert ae.supported_contexts == []
    for _ in range(128):
        ae.add_requested_context("1.2.840.10008.1.1")
    with pytest.raises(ValueError, match="128"):
        ae.add_requested_context("1.2.840.10008.1.1")
    with pytest.raises(ValueError):
        ae.requested_contexts = ["1.2.840.10008.1.1"]  # type: ignore[list-item]


def test_the_standards_uids_are_made_once_and_nobody_elses_are_kept() -> None:
    one, other = build_context("1.2.840.10008.1.1"), build_context(sop_class.Verification)
    assert one.abstract_syntax is other.abstract_syntax and type(one.abstract_syntax) is UID
    assert one.transfer_syntax[0] is other.transfer_syntax[0] and one.transfer_syntax is not other.transfer_syntax
    kept = dict(_uids._MADE)
    private = [build_context(f"1.2.840.10008.1.1.{number}", [f"1.2.{number}"]) for number in range(100)]
    assert {len(context.transfer_syntax) for context in private} == {1} and kept == _uids._MADE


# Settings


def test_settings_have_their_defaults_and_limits() -> None:
    ae = AE()
    assert (ae.ae_title, ae.maximum_pdu_size, ae.maximum_associations) == ("DIMSEFAST", 262144, 10)
    assert (ae.acse_timeout, ae.dimse_timeout, ae.network_timeout, ae.connection_timeout) == (30, 30, 60, None)
    for name, default in (("acse_timeout", 30), ("dimse_timeout", 30), ("network_timeout", 60)):
        for given, kept in ((None, None), (0, 0), (2.5, 2.5), (-1, default), ("x", default)):
            setattr(ae, name, given)
            assert getattr(ae, name) == kept
    ae.connection_timeout = 0
    assert ae.connection_timeout is None
    ae.maximum_associations = -5
    assert ae.maximum_associations == 1
    ae.maximum_pdu_size = -1
    assert ae.maximum_pdu_size == 262144
    ae.require_calling_aet = ["ONE", "TWO"]
    with pytest.raises(ValueError):
        ae.require_calling_aet = ["THREE", "\\"]
    assert ae.require_calling_aet == ["ONE", "TWO"]
    with pytest.raises(TypeError):
        ae.implementation_class_uid = None  # type: ignore[assignment]
    for bad in ("", "1.x"):
        with pytest.raises(ValueError):
            ae.implementation_class_uid = bad  # type: ignore[assignment]
    with pytest.raises(TypeError):
        ae.implementation_version_name = 1  # type: ignore[assignment]
    with pytest.raises(ValueError):
        ae.implementation_version_name = ""
    assert "Require called AE title: False" in str(ae) and "0/1" in str(ae)


def test_ae_titles() -> None:
    assert AE(" AET ").ae_title == " AET "
    for bad, error in (
        ("", ValueError),
        (" " * 3, ValueError),
        ("A" * 17, ValueError),
        ("A\n", ValueError),
        (1, TypeError),
    ):
        with pytest.raises(error):
            AE(bad)  # type: ignore[arg-type]
    with pytest.warns(DeprecationWarning):
        assert AE(b"BYTES").ae_title == "BYTES"  # type: ignore[arg-type]


# Negotiation items


def test_items_check_compare_and_travel() -> None:
    window = pdu_primitives.AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 10
    assert "invoked: 10" in str(window)
    with pytest.raises(TypeError):
        window.maximum_number_operations_performed = "2"  # type: ignore[assignment]
    with pytest.raises(ValueError):
        window.maximum_number_operations_performed = -1
    length = pdu_primitives.MaximumLengthNotification()
    assert length.maximum_length_received == 16382 and "16382 bytes" in str(length)
    common = pdu_primitives.SOPClassCommonExtendedNegotiation()
    common.sop_class_uid, common.service_class_uid = "1.2", "1.3"
    common.related_general_sop_class_identification = ["1.4", "1.5"]
    assert pdu_primitives.SOPClassCommonExtendedNegotiation().related_general_sop_class_identification == []
    identity = pdu_primitives.UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = 1, b"name"
    assert "type: 1" in str(identity)
    for bad in (0, 6):
        with pytest.raises(ValueError):
            identity.user_identity_type = bad
    role = build_role("1.2.3", True, False)
    for item in (window, length, common, role):
        again = from_item(item._to_item())
        assert again == item and again != identity
    with pytest.raises(ValueError):
        role.sop_class_uid = "1" * 65


def test_uid_conformance_can_be_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    role = build_role("1.2.03")
    monkeypatch.setattr(_config, "ENFORCE_UID_CONFORMANCE", True)
    with pytest.raises(ValueError):
        role.sop_class_uid = "1.2.03"


# SOP classes and statuses


def test_sop_classes_by_keyword() -> None:
    assert sop_class.CTImageStorage == "1.2.840.10008.5.1.4.1.1.2"
    assert sop_class.CTImageStorage.service_class is StorageServiceClass
    assert sop_class.uid_to_sop_class("1.2.3").service_class is ServiceClass
    assert "MRImageStorage" in dir(sop_class)
    with pytest.raises(AttributeError):
        _ = sop_class.NoSuchStorage
    dimsefast.register_uid("1.2.3.4", "PrivateStorage", StorageServiceClass)
    assert sop_class.PrivateStorage == "1.2.3.4" and sop_class.PrivateStorage.service_class is StorageServiceClass
    delattr(sop_class, "PrivateStorage")
    with pytest.raises(ValueError):
        dimsefast.register_uid("1.2.3.4", "class", StorageServiceClass)
    with pytest.raises(TypeError):
        dimsefast.register_uid("1.2.3.4", "Private", int)  # type: ignore[arg-type]


def test_status_categories() -> None:
    expected = {
        0x0000: "Success",
        0xFF00: "Pending",
        0xFF01: "Pending",
        0xFE00: "Cancel",
        0xB000: "Warning",
        0x0107: "Warning",
        0xA700: "Failure",
        0xC123: "Failure",
        0x0122: "Failure",
        0x1234: "Unknown",
    }
    assert {code: code_to_category(code) for code in expected} == expected
    for call in (code_to_category, code_to_status):
        with pytest.raises(ValueError):
            call(-1)
    Status.add("MISTAKE", 0xC123)
    assert Status.MISTAKE == 0xC123 and int(Status.SUCCESS) == 0  # type: ignore[attr-defined]


def made() -> StatusDataset:
    return StatusDataset._make(0xA900, ((0x0902, "LO", "comment"),))


@pytest.mark.parametrize(
    "use",
    [
        lambda status: status.ErrorComment == "comment",
        lambda status: status["Status"].value == 0xA900,
        lambda status: "Status" in status and "ErrorComment" in status and "ErrorID" not in status,
        lambda status: len(status) == 2,
        lambda status: [element.keyword for element in status] == ["Status", "ErrorComment"],
        lambda status: status.get("Status") == 0xA900 and status.get("ErrorID") is None,
        lambda status: copy.deepcopy(status).ErrorComment == "comment",
        lambda status: copy.copy(status).Status == 0xA900,
        lambda status: pickle.loads(pickle.dumps(status)).ErrorComment == "comment",
        lambda status: status == made() and isinstance(status, Dataset),
        lambda status: "comment" in str(status),
        lambda status: bool(status) and hasattr(status, "Status") and not hasattr(status, "PatientID"),
    ],
)
def test_a_status_is_a_dataset_however_it_is_used(use: Any) -> None:
    assert use(made())
    status = made()
    status.Status = 0x0000
    assert status.Status == 0 and status["Status"].value == 0
    assert "Status" not in StatusDataset()


def test_a_context_equals_another_by_value() -> None:
    one, other = PresentationContext(), PresentationContext()
    assert one == other and one != "x"
