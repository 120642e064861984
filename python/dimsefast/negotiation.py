"""The user information items that are negotiated with an association (PS3.7 Annex D)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from pydicom.uid import UID

from ._uids import uid as made_uid
from ._validators import validate_uid

T = TypeVar("T")


class _Checked(Generic[T]):
    """An attribute whose values are checked when they are set."""

    def __init__(self, check: Callable[[Any, str], T], default: T, doc: str) -> None:
        self._check, self._default, self.__doc__ = check, default, doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> _Checked[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> _Checked[T] | T:
        if instance is None:
            return self
        if self._name not in instance.__dict__:
            default: Any = self._default
            instance.__dict__[self._name] = list(default) if isinstance(default, list) else default
        value: T = instance.__dict__[self._name]
        return value

    def __set__(self, instance: object, value: Any) -> None:
        instance.__dict__[self._name] = self._check(value, self._name)


def _integer(top: int) -> Callable[[Any, str], int]:
    def check(value: Any, name: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} is an int, not {type(value).__name__}")
        if not 0 <= value <= top:
            raise ValueError(f"{name} is 0 to {top}, not {value}")
        return value

    return check


def _boolean(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} is a bool, not {type(value).__name__}")
    return value


def _optional_boolean(value: Any, name: str) -> bool | None:
    return None if value is None else _boolean(value, name)


def _optional_bytes(value: Any, name: str) -> bytes | None:
    if value is not None and not isinstance(value, bytes):
        raise TypeError(f"{name} is bytes, not {type(value).__name__}")
    return value


def _optional_uid(value: Any, name: str) -> UID | None:
    return None if value is None else validate_uid(value, name)


def _uids(value: Any, name: str) -> list[UID]:
    if not isinstance(value, list):
        raise TypeError(f"{name} is a list, not {type(value).__name__}")
    return [validate_uid(uid, name) for uid in value]


def _version_name(value: Any, name: str) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is a str, not {type(value).__name__}")
    if value is not None and not 1 <= len(value) <= 16:
        raise ValueError(f"{name} has 1 to 16 characters, unlike {value!r}")
    return value


def _identity_type(value: Any, name: str) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise TypeError(f"{name} is an int, not {type(value).__name__}")
    if value is not None and not 1 <= value <= 5:
        raise ValueError(f"{name} is 1 to 5, not {value}")
    return value


class NegotiationItem:
    """An item of the user information. Compared by type and value."""

    #: What the core calls it; the values that it takes, in this order, and what it takes for one that is not set.
    _kind = ""
    _fields: tuple[tuple[str, Any], ...] = ()
    #: How `str()` calls it.
    _title = ""

    def _attributes(self) -> list[str]:
        return [name for name, value in vars(type(self)).items() if isinstance(value, _Checked)]

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._attributes())

    def _to_item(self) -> tuple[Any, ...]:
        """As the core takes it."""

        def plain(value: Any, unset: Any) -> Any:
            if isinstance(value, list):
                return [str(one) for one in value]
            return unset if value is None else str(value) if isinstance(value, UID) else value

        return (self._kind, *(plain(getattr(self, name), unset) for name, unset in self._fields))

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, NegotiationItem):
            return NotImplemented
        return self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = zip(self._attributes(), self._values(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in values)})"

    def _shown(self) -> list[tuple[str, Any]]:
        """What `str()` shows: labels and values."""
        return [(name.replace("_", " "), getattr(self, name)) for name in self._attributes()]

    def __str__(self) -> str:
        return "\n".join([self._title, *(f"  {label}: {value}" for label, value in self._shown())])


class MaximumLengthNotification(NegotiationItem):
    """Maximum length of the P-DATA PDUs that the sender receives."""

    _kind, _fields = "max_length", (("maximum_length_received", 0),)
    _title = "Maximum Length Negotiation"

    maximum_length_received = _Checked(_integer(0xFFFFFFFF), 16382, "In bytes; 0 for no limit; default 16382.")

    def _shown(self) -> list[tuple[str, Any]]:
        return [("Maximum length received", f"{self.maximum_length_received} bytes")]


class ImplementationClassUIDNotification(NegotiationItem):
    """Implementation Class UID."""

    _kind, _fields = "implementation_class_uid", (("implementation_class_uid", ""),)
    _title = "Implementation Class UID Notification"

    implementation_class_uid = _Checked(_optional_uid, None, "The UID; None before it is set.")


class ImplementationVersionNameNotification(NegotiationItem):
    """Implementation version name."""

    _kind, _fields = "implementation_version_name", (("implementation_version_name", ""),)
    _title = "Implementation Version Name Notification"

    implementation_version_name = _Checked(_version_name, None, "1 to 16 characters; None before it is set.")


class AsynchronousOperationsWindowNegotiation(NegotiationItem):
    """How many operations may be under way at the same time; 0 for no limit."""

    _kind = "async_ops"
    _fields = (("maximum_number_operations_invoked", 1), ("maximum_number_operations_performed", 1))
    _title = "Asynchronous Operation Window Negotiation"

    maximum_number_operations_invoked = _Checked(_integer(0xFFFF), 1, "Default 1.")
    maximum_number_operations_performed = _Checked(_integer(0xFFFF), 1, "Default 1.")

    def _shown(self) -> list[tuple[str, Any]]:
        return [
            ("Maximum number of operations invoked", self.maximum_number_operations_invoked),
            ("Maximum number of operations performed", self.maximum_number_operations_performed),
        ]


class SCP_SCU_RoleSelectionNegotiation(NegotiationItem):  # noqa: N801 - pynetdicom's name
    """Which roles the association requestor takes for a SOP class."""

    _kind, _fields = "role", (("sop_class_uid", ""), ("scu_role", False), ("scp_role", False))
    _title = "SCP/SCU Role Selection Negotiation"

    sop_class_uid = _Checked(_optional_uid, None, "The SOP class.")
    scu_role = _Checked(_optional_boolean, None, "The requestor as SCU.")
    scp_role = _Checked(_optional_boolean, None, "The requestor as SCP.")


class SOPClassExtendedNegotiation(NegotiationItem):
    """Service class application information for a SOP class."""

    _kind, _fields = "sop_extended", (("sop_class_uid", ""), ("service_class_application_information", b""))
    _title = "SOP Class Extended Negotiation"

    sop_class_uid = _Checked(_optional_uid, None, "The SOP class.")
    service_class_application_information = _Checked(_optional_bytes, None, "As the service class defines it.")


class SOPClassCommonExtendedNegotiation(NegotiationItem):
    """The service class and the related general SOP classes of a SOP class."""

    _kind = "sop_common"
    _fields = (("sop_class_uid", ""), ("service_class_uid", ""), ("related_general_sop_class_identification", None))
    _title = "SOP Class Common Extended Negotiation"

    sop_class_uid = _Checked(_optional_uid, None, "The SOP class.")
    service_class_uid = _Checked(_optional_uid, None, "Its service class.")
    related_general_sop_class_identification: _Checked[list[UID]] = _Checked(_uids, [], "Related general SOP classes.")


class UserIdentityNegotiation(NegotiationItem):
    """Who the user is, or the acceptor's answer to that."""

    _kind = "user_identity"
    _fields = (
        ("user_identity_type", 0),
        ("positive_response_requested", False),
        ("primary_field", b""),
        ("secondary_field", b""),
    )
    _title = "User Identity Negotiation"

    user_identity_type = _Checked(
        _identity_type, None, "1 user name, 2 user name and passcode, 3 Kerberos, 4 SAML, 5 JSON Web Token."
    )
    positive_response_requested = _Checked(_boolean, False, "Whether the acceptor should answer; default False.")
    primary_field = _Checked(_optional_bytes, None, "The user name, ticket, assertion or token.")
    secondary_field = _Checked(_optional_bytes, None, "The passcode, for type 2.")
    server_response = _Checked(_optional_bytes, None, "What the acceptor answered.")

    def _shown(self) -> list[tuple[str, Any]]:
        # The fields are secrets.
        return [
            ("User identity type", f"{self.user_identity_type}"),
            ("Positive response requested", self.positive_response_requested),
            ("Primary field", f"{len(self.primary_field or b'')} bytes"),
            ("Secondary field", f"{len(self.secondary_field or b'')} bytes"),
            ("Server response", self.server_response),
        ]


_KINDS: dict[str, type[NegotiationItem]] = {
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
    if kind == "user_identity_response":
        answer = UserIdentityNegotiation()
        answer.server_response = values[0]
        return answer
    made = _KINDS[kind]()
    for (name, _), value in zip(made._fields, values, strict=True):
        if isinstance(value, list):
            value = [made_uid(uid) for uid in value]
        made.__dict__[name] = made_uid(str(value)) if name.endswith("_uid") else value
    return made
