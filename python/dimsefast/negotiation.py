"""The user information items that are negotiated with an association (PS3.7 Annex D)."""

from __future__ import annotations

from typing import Any

from pydicom.uid import UID

from ._validators import validate_uid


class NegotiationItem:
    """An item of the user information. Compared by type and value."""

    #: Names of the values, in the order of the tuple that the core takes.
    _fields: tuple[str, ...] = ()
    #: What the core calls it.
    _kind = ""

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._fields)

    def _to_item(self) -> tuple[Any, ...]:
        return (self._kind, *(str(value) if isinstance(value, UID) else value for value in self._values()))

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, NegotiationItem):
            return NotImplemented
        return self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self._values(), strict=True))
        return f"{type(self).__name__}({values})"


def _integer(value: Any, name: str, top: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is an int, not {type(value).__name__}")
    if not 0 <= value <= top:
        raise ValueError(f"{name} is 0 to {top}, not {value}")
    return value


def _boolean(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} is a bool, not {type(value).__name__}")
    return value


def _bytes(value: Any, name: str) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"{name} is bytes, not {type(value).__name__}")
    return value


def _optional_uid(value: Any, name: str) -> UID | None:
    return None if value is None else validate_uid(value, name)


class MaximumLengthNotification(NegotiationItem):
    """Maximum length of the P-DATA PDUs that the sender receives, in bytes; 0 for no limit."""

    _fields = ("maximum_length_received",)
    _kind = "max_length"

    def __init__(self) -> None:
        self._length = 16382

    @property
    def maximum_length_received(self) -> int:
        """In bytes; default 16382."""
        return self._length

    @maximum_length_received.setter
    def maximum_length_received(self, value: int) -> None:
        self._length = _integer(value, "the maximum length", 0xFFFFFFFF)

    def __str__(self) -> str:
        return f"Maximum Length Negotiation\n  Maximum length received: {self._length} bytes"


class ImplementationClassUIDNotification(NegotiationItem):
    """Implementation Class UID."""

    _fields = ("implementation_class_uid",)
    _kind = "implementation_class_uid"

    def __init__(self) -> None:
        self._uid: UID | None = None

    @property
    def implementation_class_uid(self) -> UID | None:
        """The UID; None before it is set."""
        return self._uid

    @implementation_class_uid.setter
    def implementation_class_uid(self, value: str | bytes | None) -> None:
        self._uid = _optional_uid(value, "the Implementation Class UID")

    def __str__(self) -> str:
        return f"Implementation Class UID Notification\n  Implementation class UID: {self._uid}"


class ImplementationVersionNameNotification(NegotiationItem):
    """Implementation version name."""

    _fields = ("implementation_version_name",)
    _kind = "implementation_version_name"

    def __init__(self) -> None:
        self._name: str | None = None

    @property
    def implementation_version_name(self) -> str | None:
        """1 to 16 characters; None before it is set."""
        return self._name

    @implementation_version_name.setter
    def implementation_version_name(self, value: str | bytes | None) -> None:
        if isinstance(value, bytes):
            value = value.decode("ascii", "replace")
        if value is not None and not isinstance(value, str):
            raise TypeError(f"the implementation version name is a str, not {type(value).__name__}")
        if value is not None and not 1 <= len(value) <= 16:
            raise ValueError(f"the implementation version name has 1 to 16 characters, unlike {value!r}")
        self._name = value

    def __str__(self) -> str:
        return f"Implementation Version Name Notification\n  Implementation version name: {self._name}"


class AsynchronousOperationsWindowNegotiation(NegotiationItem):
    """How many operations may be under way at the same time; 0 for no limit."""

    _fields = ("maximum_number_operations_invoked", "maximum_number_operations_performed")
    _kind = "async_ops"

    def __init__(self) -> None:
        self._invoked = 1
        self._performed = 1

    @property
    def maximum_number_operations_invoked(self) -> int:
        """Default 1."""
        return self._invoked

    @maximum_number_operations_invoked.setter
    def maximum_number_operations_invoked(self, value: int) -> None:
        self._invoked = _integer(value, "the number of operations", 0xFFFF)

    @property
    def maximum_number_operations_performed(self) -> int:
        """Default 1."""
        return self._performed

    @maximum_number_operations_performed.setter
    def maximum_number_operations_performed(self, value: int) -> None:
        self._performed = _integer(value, "the number of operations", 0xFFFF)

    def __str__(self) -> str:
        return (
            "Asynchronous Operation Window Negotiation\n"
            f"  Maximum number of operations invoked: {self._invoked}\n"
            f"  Maximum number of operations performed: {self._performed}"
        )


class SCP_SCU_RoleSelectionNegotiation(NegotiationItem):  # noqa: N801 - pynetdicom's name
    """Which roles the association requestor takes for a SOP class."""

    _fields = ("sop_class_uid", "scu_role", "scp_role")
    _kind = "role"

    def __init__(self) -> None:
        self._uid: UID | None = None
        self._scu: bool | None = None
        self._scp: bool | None = None

    @property
    def sop_class_uid(self) -> UID | None:
        """The SOP class."""
        return self._uid

    @sop_class_uid.setter
    def sop_class_uid(self, value: str | bytes | None) -> None:
        self._uid = _optional_uid(value, "the SOP Class UID")

    @property
    def scu_role(self) -> bool | None:
        """The requestor as SCU."""
        return self._scu

    @scu_role.setter
    def scu_role(self, value: bool | None) -> None:
        self._scu = None if value is None else _boolean(value, "the SCU role")

    @property
    def scp_role(self) -> bool | None:
        """The requestor as SCP."""
        return self._scp

    @scp_role.setter
    def scp_role(self, value: bool | None) -> None:
        self._scp = None if value is None else _boolean(value, "the SCP role")

    def _to_item(self) -> tuple[Any, ...]:
        return (self._kind, str(self._uid or ""), bool(self._scu), bool(self._scp))

    def __str__(self) -> str:
        return (
            f"SCP/SCU Role Selection Negotiation\n  SOP Class UID: {self._uid}\n"
            f"  SCU role: {int(bool(self._scu))}\n  SCP role: {int(bool(self._scp))}"
        )


class SOPClassExtendedNegotiation(NegotiationItem):
    """Service class application information for a SOP class."""

    _fields = ("sop_class_uid", "service_class_application_information")
    _kind = "sop_extended"

    def __init__(self) -> None:
        self._uid: UID | None = None
        self._information: bytes | None = None

    @property
    def sop_class_uid(self) -> UID | None:
        """The SOP class."""
        return self._uid

    @sop_class_uid.setter
    def sop_class_uid(self, value: str | bytes | None) -> None:
        self._uid = _optional_uid(value, "the SOP Class UID")

    @property
    def service_class_application_information(self) -> bytes | None:
        """The information, as the service class defines it."""
        return self._information

    @service_class_application_information.setter
    def service_class_application_information(self, value: bytes | None) -> None:
        self._information = None if value is None else _bytes(value, "the application information")

    def _to_item(self) -> tuple[Any, ...]:
        return (self._kind, str(self._uid or ""), self._information or b"")

    def __str__(self) -> str:
        shown = " ".join(f"{byte:02X}" for byte in self._information or b"")
        return f"SOP Class Extended Negotiation\n  SOP Class UID: {self._uid}\n  Application information: {shown}"


class SOPClassCommonExtendedNegotiation(NegotiationItem):
    """The service class and the related general SOP classes of a SOP class."""

    _fields = ("sop_class_uid", "service_class_uid", "related_general_sop_class_identification")
    _kind = "sop_common"

    def __init__(self) -> None:
        self._uid: UID | None = None
        self._service: UID | None = None
        self._related: list[UID] = []

    @property
    def sop_class_uid(self) -> UID | None:
        """The SOP class."""
        return self._uid

    @sop_class_uid.setter
    def sop_class_uid(self, value: str | bytes | None) -> None:
        self._uid = _optional_uid(value, "the SOP Class UID")

    @property
    def service_class_uid(self) -> UID | None:
        """Its service class."""
        return self._service

    @service_class_uid.setter
    def service_class_uid(self, value: str | bytes | None) -> None:
        self._service = _optional_uid(value, "the Service Class UID")

    @property
    def related_general_sop_class_identification(self) -> list[UID]:
        """Related general SOP classes."""
        return self._related

    @related_general_sop_class_identification.setter
    def related_general_sop_class_identification(self, values: list[Any]) -> None:
        if not isinstance(values, list):
            raise TypeError(f"the related general SOP classes are a list, not {type(values).__name__}")
        self._related = [validate_uid(value, "a related general SOP class") for value in values]

    def _to_item(self) -> tuple[Any, ...]:
        related = [str(uid) for uid in self._related]
        return (self._kind, str(self._uid or ""), str(self._service or ""), related)

    def __str__(self) -> str:
        related = "".join(f"\n    {uid}" for uid in self._related)
        return (
            f"SOP Class Common Extended Negotiation\n  SOP Class UID: {self._uid}\n"
            f"  Service Class UID: {self._service}\n  Related general SOP classes:{related}"
        )


class UserIdentityNegotiation(NegotiationItem):
    """Who the user is, or the acceptor's answer to that."""

    _fields = (
        "user_identity_type",
        "positive_response_requested",
        "primary_field",
        "secondary_field",
        "server_response",
    )
    _kind = "user_identity"

    def __init__(self) -> None:
        self._type: int | None = None
        self._positive = False
        self._primary: bytes | None = None
        self._secondary: bytes | None = None
        self._response: bytes | None = None

    @property
    def user_identity_type(self) -> int | None:
        """1 user name, 2 user name and passcode, 3 Kerberos, 4 SAML, 5 JSON Web Token."""
        return self._type

    @user_identity_type.setter
    def user_identity_type(self, value: int | None) -> None:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise TypeError(f"the user identity type is an int, not {type(value).__name__}")
        if value is not None and not 1 <= value <= 5:
            raise ValueError(f"the user identity type is 1 to 5, not {value}")
        self._type = value

    @property
    def positive_response_requested(self) -> bool:
        """Whether the acceptor should answer; default False."""
        return self._positive

    @positive_response_requested.setter
    def positive_response_requested(self, value: bool) -> None:
        self._positive = _boolean(value, "the positive response requested")

    @property
    def primary_field(self) -> bytes | None:
        """The user name, ticket, assertion or token."""
        return self._primary

    @primary_field.setter
    def primary_field(self, value: bytes | None) -> None:
        self._primary = None if value is None else _bytes(value, "the primary field")

    @property
    def secondary_field(self) -> bytes | None:
        """The passcode, for type 2."""
        return self._secondary

    @secondary_field.setter
    def secondary_field(self, value: bytes | None) -> None:
        self._secondary = None if value is None else _bytes(value, "the secondary field")

    @property
    def server_response(self) -> bytes | None:
        """What the acceptor answered."""
        return self._response

    @server_response.setter
    def server_response(self, value: bytes | None) -> None:
        self._response = None if value is None else _bytes(value, "the server response")

    def _to_item(self) -> tuple[Any, ...]:
        return (self._kind, self._type or 0, self._positive, self._primary or b"", self._secondary or b"")

    def __str__(self) -> str:
        if self._type is None:
            return f"User Identity Negotiation\n  Server response: {self._response!r}"
        return (
            f"User Identity Negotiation\n  User identity type: {self._type}\n"
            f"  Positive response requested: {self._positive}"
        )


_KINDS = {
    kind._kind: kind
    for kind in (
        MaximumLengthNotification,
        ImplementationClassUIDNotification,
        ImplementationVersionNameNotification,
        AsynchronousOperationsWindowNegotiation,
        SCP_SCU_RoleSelectionNegotiation,
        SOPClassExtendedNegotiation,
        SOPClassCommonExtendedNegotiation,
        UserIdentityNegotiation,
    )
}


def from_item(item: tuple[Any, ...]) -> Any:
    """The item for a tuple of the core. What a peer sent is taken as it is, conformant or not."""
    kind, *values = item
    made: Any = _KINDS[kind]()
    private = [name for name in vars(made) if name.startswith("_")]
    for name, value in zip(private, values, strict=False):
        setattr(made, name, UID(value) if name in ("_uid", "_service") else value)
    if kind == "sop_common":
        made._related = [UID(uid) for uid in values[2]]
    return made
