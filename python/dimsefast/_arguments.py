"""Arguments of `AE` as they are given, and as they are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from . import _config, _core
from ._validators import validate_ae_title
from .events import EventType, HandlerTable
from .presentation import DEFAULT_TRANSFER_SYNTAXES, PresentationContext
from .tls import TLS

if TYPE_CHECKING:
    import ssl

#: What `evt_handlers` takes: (event, handler) or (event, handler, [arguments]) each.
Handlers = Sequence[tuple[Any, ...]]

#: What `contexts_by_calling_aet` takes.
ContextsByCallingAET = Mapping[str, Sequence[PresentationContext]]


def seconds(value: Any, default: float | None) -> float | None:
    """A time-out as it is kept: None is no limit, what is no number or negative gives the default."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        return default
    return value


#: What an association does when its network time-out has passed.
NetworkTimeoutResponse = Literal["A-ABORT", "A-P-ABORT", "A-RELEASE"]


def checked_timeout_response(value: NetworkTimeoutResponse) -> NetworkTimeoutResponse:
    """The same; ValueError for what is none."""
    if value not in get_args(NetworkTimeoutResponse):
        names = ", ".join(get_args(NetworkTimeoutResponse))
        raise ValueError(f"the response to a network time-out is one of {names}, not {value!r}")
    return value


def syntaxes(value: str | Sequence[str] | None) -> list[str]:
    """Transfer syntaxes as a list: one or several were given, or none for the default."""
    if value is None:
        return [str(syntax) for syntax in DEFAULT_TRANSFER_SYNTAXES]
    return [value] if isinstance(value, str) else list(value)


def checked_contexts(contexts: list[PresentationContext], most: int | None) -> list[PresentationContext]:
    """A copy of the list, which has at most `most` presentation contexts in it; else ValueError."""
    for kind in set(map(type, contexts)):
        if not issubclass(kind, PresentationContext):
            raise ValueError(f"presentation contexts are PresentationContext objects, not {kind.__name__}")
    if most is not None and len(contexts) > most:
        raise ValueError(f"an association has at most {most} presentation contexts, not {len(contexts)}")
    return list(contexts)


def checked_offers(
    contexts: Sequence[PresentationContext], by_calling_aet: ContextsByCallingAET | None
) -> tuple[list[PresentationContext], dict[str, list[PresentationContext]] | None]:
    """What a server offers, to everybody and to some; lists that were the same stay the same. ValueError for nothing at
    all, a context that refuses both roles, or a title that is none.
    """
    copies: dict[int, list[PresentationContext]] = {}
    for offered in (contexts, *(by_calling_aet or {}).values()):
        copies[id(offered)] = list(offered)
        for context in offered:
            # A role that is not said is refused where the other one is.
            roles = (context.scu_role, context.scp_role)
            if False in roles and True not in roles:
                raise ValueError(f"the context for {context.abstract_syntax} refuses both roles: nobody could use it")
    if not any(copies.values()) and not _config.UNRESTRICTED_STORAGE_SERVICE:
        raise ValueError("a server needs supported presentation contexts: see add_supported_context()")
    if by_calling_aet is None:
        return copies[id(contexts)], None
    named = {
        validate_ae_title(title, "a calling AE title").strip(): copies[id(offered)]
        for title, offered in by_calling_aet.items()
    }
    return copies[id(contexts)], named


def checked_titles(value: str | Sequence[str]) -> list[str]:
    """AE titles of a server: one or several were given. ValueError for none, or one that is none."""
    titles = [value] if isinstance(value, (str, bytes)) else list(value)
    if not titles:
        raise ValueError("a server needs an AE title")
    return [validate_ae_title(title, "the AE title") for title in titles]


def keep_without(context: PresentationContext, transfer_syntax: str | Sequence[str] | None) -> bool:
    """Takes the transfer syntaxes out; whether the context has any left."""
    if transfer_syntax is None:
        return False
    dropped = {str(syntax) for syntax in syntaxes(transfer_syntax)}
    context.transfer_syntax = [syntax for syntax in context.transfer_syntax if str(syntax) not in dropped]
    return bool(context.transfer_syntax)


def handlers_in(handlers: Handlers | None) -> Iterator[tuple[EventType, Any, list[Any] | None]]:
    """Event, handler and its arguments of an `evt_handlers` argument; TypeError for what is none."""
    for given in handlers or ():
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise TypeError(f"evt_handlers has (event, handler) or (event, handler, [arguments]), not {given!r}")
        event, handler, *args = given
        yield event, handler, args[0] if args else None


def handler_table(handlers: Handlers | None) -> HandlerTable:
    """The handlers of an `evt_handlers` argument; TypeError for what are none."""
    table = HandlerTable()
    for event, handler, args in handlers_in(handlers):
        table.bind(event, handler, args)
    return table


def host_name(addr: Any) -> str:
    """The address of a peer as the core takes it; TypeError for what is none."""
    if isinstance(addr, str):
        return addr
    if isinstance(addr, tuple) and len(addr) == 3 and [*map(type, addr)] == [str, int, int]:
        address, _flowinfo, scope_id = addr
        return f"{address}%{scope_id}" if scope_id else address
    raise TypeError(f"the peer's address is a str or (str, int, int), not {addr!r}")


def listening_address(address: tuple[Any, ...]) -> tuple[str, int]:
    """The address to listen at as the core takes it: (host, port), or (host, port, flowinfo, scope_id)."""
    host, port, *rest = address
    scope_id = rest[1] if len(rest) == 2 else 0
    return f"{host}%{scope_id}" if scope_id else host, port


def local_address(value: Any) -> tuple[str, int, int] | None:
    """The address to bind as the core takes it; TypeError for what is none."""
    if value is None:
        return None
    if (
        isinstance(value, tuple)
        and len(value) in (2, 4)
        and isinstance(value[0], str)
        and all(isinstance(part, int) for part in value[1:])
    ):
        return value[0], value[1], value[3] if len(value) == 4 else 0
    raise TypeError(f"the address to bind is (str, int) or (str, int, int, int), not {value!r}")


def security(
    tls: TLS | None, context: ssl.SSLContext | None, server_side: bool, server_name: str | None = None
) -> tuple[_core.Tls | None, bool]:
    """What is beneath an association as the core takes it: TLS of its own, or a bridge to an `ssl.SSLContext`.

    Raises TypeError for what is neither, ValueError for both, or a context that is not for this side, RuntimeError
    where Python was built without its ssl module.
    """
    if tls is not None and not isinstance(tls, TLS):
        raise TypeError(f"tls is a dimsefast.TLS, not {type(tls).__name__}; an ssl.SSLContext goes by its own argument")
    if context is None:
        return (None if tls is None else tls._core), False
    if tls is not None:
        raise ValueError("tls and an ssl.SSLContext are two ways of the same: give one of them")
    try:
        import ssl
    except ImportError as error:
        raise RuntimeError("this Python has no ssl module, as an ssl.SSLContext needs: `tls` needs none") from error
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"this is an ssl.SSLContext, not {type(context).__name__}")
    try:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side, None if server_side else server_name)
    except ssl.SSLError as error:
        raise ValueError(f"the ssl.SSLContext cannot be used on this side: {error}") from error
    return None, True


def proxy_networks(value: bool | Sequence[str]) -> list[str] | None:
    """`proxy_protocol` as the core takes it: True is for every peer, False for none."""
    if isinstance(value, str):
        raise TypeError('proxy_protocol is True, False or a list of networks such as ["10.0.0.0/8"]')
    if isinstance(value, bool):
        return ["0.0.0.0/0", "::/0"] if value else None
    return [str(network) for network in value]
