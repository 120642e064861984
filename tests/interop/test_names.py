"""Names, constants and ready-made lists against the installed pynetdicom."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType

import dimsefast
import pytest
from dimsefast import evt, presentation, sop_class, status
from dimsefast.negotiation import NegotiationItem

pynetdicom = pytest.importorskip("pynetdicom", reason="pynetdicom is not installed: make peers")


def theirs(name: str) -> ModuleType:
    return importlib.import_module(f"pynetdicom.{name}")


LISTS = sorted(name for name in dir(theirs("presentation")) if name.endswith("PresentationContexts"))
EVENTS = sorted(name for name in dir(theirs("events")) if name.startswith("EVT_"))
CLASSES = {
    keyword: uid
    for table, classes in vars(theirs("sop_class")).items()
    if table.startswith("_") and table.endswith("_CLASSES") and table != "_SERVICE_CLASSES"
    for keyword, uid in classes.items()
}


def test_there_are_the_lists_that_there_should_be() -> None:
    assert len(LISTS) == 24 and len(EVENTS) == 32 and len(CLASSES) > 200


@pytest.mark.parametrize("name", LISTS)
def test_a_ready_made_list_has_the_same_contexts(name: str) -> None:
    ours, expected = getattr(presentation, name), getattr(theirs("presentation"), name)
    assert [str(context.abstract_syntax) for context in ours] == [str(context.abstract_syntax) for context in expected]
    for context, other in zip(ours, expected, strict=True):
        assert [str(uid) for uid in context.transfer_syntax] == [str(uid) for uid in other.transfer_syntax]
        assert context.context_id is None
    assert [str(cx.abstract_syntax) for cx in getattr(dimsefast, name)] == [str(cx.abstract_syntax) for cx in expected]


def test_transfer_syntaxes_are_the_same_in_the_same_order() -> None:
    assert [*map(str, dimsefast.DEFAULT_TRANSFER_SYNTAXES)] == [*map(str, pynetdicom.DEFAULT_TRANSFER_SYNTAXES)]
    assert [*map(str, dimsefast.ALL_TRANSFER_SYNTAXES)] == [*map(str, pynetdicom.ALL_TRANSFER_SYNTAXES)]


@pytest.mark.parametrize("name", EVENTS)
def test_events_are_of_the_same_kind(name: str) -> None:
    ours, expected = getattr(evt, name), getattr(theirs("events"), name)
    assert (ours.name, ours.is_intervention) == (expected.name, expected.is_intervention)


@pytest.mark.parametrize("keyword", CLASSES)
def test_sop_classes_have_the_same_uid_and_service(keyword: str) -> None:
    ours = getattr(sop_class, keyword)
    assert str(ours) == CLASSES[keyword]
    expected = theirs("sop_class").uid_to_service_class(ours)
    assert sop_class.uid_to_service_class(ours).__name__ == expected.__name__


def test_statuses_have_the_same_categories() -> None:
    expected = theirs("status")
    different = {
        f"{code:04X}": (status.code_to_category(code), expected.code_to_category(code))
        for code in range(0x10000)
        if status.code_to_category(code) != expected.code_to_category(code)
    }
    assert not different


PUBLIC = {
    "ae": ("ApplicationEntity",),
    "association": ("Association",),
    "events": ("Event",),
    "presentation": ("PresentationContext",),
}
#: What is inside pynetdicom, though its name does not begin with an underscore.
INSIDE = {
    "ApplicationEntity": {"on_c_echo", "make_server"},
    "Association": {
        "acse",
        "dimse",
        "dul",
        "daemon",
        "getName",
        "ident",
        "isDaemon",
        "lock",
        "name",
        "native_id",
        "request",
        "run",
        "run_as_requestor",
        "run_reactor",
        "setDaemon",
        "setName",
        "set_socket",
        "start",
    },
    "Event": set(),
    "PresentationContext": set(),
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in PUBLIC.items() for name in names])
def test_classes_have_all_public_members(module: str, name: str) -> None:
    expected = getattr(theirs(module), name)
    ours = getattr(importlib.import_module(f"dimsefast.{module}"), name)
    members = {member for member in dir(expected) if not member.startswith("_")} - INSIDE[name]
    assert members - {*dir(ours), *vars_of(name)} == set()


def vars_of(name: str) -> set[str]:
    """Attributes that objects have and their class has not."""
    if name == "Event":
        return {"assoc", "event", "timestamp"}
    if name != "Association":
        return set()
    return set(vars(dimsefast.Association(dimsefast.AE(), "requestor", evt.HandlerTable())))


@pytest.mark.parametrize(
    "call",
    [
        "AE.associate",
        "AE.start_server",
        "AE.add_supported_context",
        "AE.add_requested_context",
        "AE.remove_supported_context",
        "AE.remove_requested_context",
        "Association.send_c_echo",
        "Association.send_c_store",
        "Association.send_c_find",
        "Association.send_c_get",
        "Association.send_c_move",
        "Association.send_c_cancel",
        "build_context",
        "build_role",
        "register_uid",
    ],
)
def test_calls_take_the_same_arguments(call: str) -> None:
    ours, expected = dimsefast, pynetdicom
    for part in call.split("."):
        ours, expected = getattr(ours, part), getattr(expected, part)
    names = list(inspect.signature(expected).parameters)  # type: ignore[arg-type]
    assert list(inspect.signature(ours).parameters)[: len(names)] == names  # type: ignore[arg-type]


def test_negotiation_items_have_the_same_attributes() -> None:
    module = theirs("pdu_primitives")
    for kind in NegotiationItem.__subclasses__():
        expected = getattr(module, kind.__name__)
        names = {name for name, value in vars(expected).items() if isinstance(value, property)}
        assert names - set(dir(kind)) == set(), kind.__name__


def test_switches_are_all_there() -> None:
    expected = {name for name in vars(theirs("_config")) if name.isupper()}
    known = {name for name in vars(dimsefast._config) if name.isupper()}
    # Of the machinery inside: padding, timers of Windows, codecs of its items.
    inside = {"USE_SHORT_DIMSE_AET", "PASS_CONTEXTVARS", "WINDOWS_TIMER_RESOLUTION", "CODECS", "VALIDATORS"}
    assert expected - known - inside == set()
