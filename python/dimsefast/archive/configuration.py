"""The configuration of `dimsefast serve`: read from a TOML file, changed by flags, written with comments."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any

from ..errors import DimsefastError
from .settings import (
    SECTIONS,
    Configuration,
    DestinationSettings,
    File,
    Kind,
    Operations,
    check_title,
    settings_of,
)
from .toml_lines import line_of


class ConfigurationError(DimsefastError, ValueError):
    """A configuration that cannot be used; says in which file, line and key, and what would do."""


def load(path: Path) -> Configuration:
    """The configuration in a TOML file; what it does not say has its default. Paths in it are relative to its folder.

    Raises ConfigurationError, and OSError where it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no TOML file: {error}") from None
    reading = _Reading(str(path), text)
    reading.check_names((), found, [*SECTIONS, "destinations"], "section")
    sections: dict[str, Any] = {
        name: reading.section((name,), reading.table((name,), found.get(name, {})), kind)
        for name, kind in SECTIONS.items()
    }
    destinations = reading.table(("destinations",), found.get("destinations", {}))
    configuration = Configuration(
        **sections,
        destinations={title: reading.destination(title, value) for title, value in destinations.items()},
    )
    return with_paths_from(configuration, path.resolve().parent)


class _Reading:
    """What is being read; gives errors their place."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text

    def fail(self, path: tuple[str, ...], words: str) -> ConfigurationError:
        line = line_of(self._text, path)
        where = self._name if line is None else f"{self._name}, line {line}"
        *tables, key = path
        name = f"[{'.'.join(tables)}] {key}" if tables else f"[{key}]"
        return ConfigurationError(f"{where}: {name} {words}")

    def check_names(self, path: tuple[str, ...], found: Iterable[str], known: list[str], what: str) -> None:
        for name in found:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
                raise self.fail((*path, name), f"is no {what} of this configuration: {hint}")

    def table(self, path: tuple[str, ...], value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(path, f"is a section with settings, not {value!r}")
        return value

    def section(self, path: tuple[str, ...], found: dict[str, Any], kind: type[Any]) -> Any:
        """A section's settings, checked."""
        settings = {setting.name: setting for setting in settings_of(kind)}
        more = [setting.name for setting in fields(kind) if setting.name not in settings]
        self.check_names(path, found, [*settings, *more], "setting")
        values: dict[str, Any] = {}
        for name in settings.keys() & found.keys():
            self.check((*path, name), settings[name].metadata["kind"], found[name])
            values[name] = tuple(found[name]) if isinstance(found[name], list) else found[name]
        if "peers" in more:
            peers = self.table((*path, "peers"), found.get("peers", {}))
            for title, operations in peers.items():
                self.title((*path, "peers", title), title)
                self.check((*path, "peers", title), Operations(), operations)
            values["peers"] = {title: tuple(operations) for title, operations in peers.items()}
        return kind(**values)

    def destination(self, title: str, value: Any) -> DestinationSettings:
        path = ("destinations", title)
        self.title(path, title)
        if isinstance(value, str):
            value = {"address": value}
        if not isinstance(value, dict) or "address" not in value:
            raise self.fail(path, f'is "host:port", or a table with an address, not {value!r}')
        destination: DestinationSettings = self.section(path, value, DestinationSettings)
        return destination

    def check(self, path: tuple[str, ...], kind: Kind, value: Any) -> None:
        try:
            kind.check(value)
        except ValueError as error:
            raise self.fail(path, str(error)) from None

    def title(self, path: tuple[str, ...], title: str) -> None:
        try:
            check_title(title)
        except ValueError as error:
            raise self.fail(path, str(error)) from None


def with_paths_from(configuration: Configuration, folder: Path) -> Configuration:
    """The same with absolute paths: those that are relative begin at the folder."""
    changes = {}
    for name, kind in SECTIONS.items():
        section = getattr(configuration, name)
        paths = {
            setting.name: str(folder / value)
            for setting in settings_of(kind)
            if isinstance(setting.metadata["kind"], File)
            and (value := getattr(section, setting.name))
            and "://" not in value
        }
        if paths:
            changes[name] = replace(section, **paths)
    return replace(configuration, **changes)


def changed(configuration: Configuration, section: str, values: Mapping[str, Any]) -> Configuration:
    """The same with other values in one section, checked. Raises ConfigurationError."""
    kinds = {setting.name: setting.metadata["kind"] for setting in settings_of(SECTIONS[section])}
    for name, value in values.items():
        try:
            kinds[name].check(value)
        except ValueError as error:
            raise ConfigurationError(f"{name} {error}") from None
    return replace(configuration, **{section: replace(getattr(configuration, section), **values)})


def parse_destination(text: str) -> tuple[str, DestinationSettings]:
    """A destination as a flag has it: `AET=host:port`, and further settings behind commas: `,retries=2`.

    Raises ConfigurationError.
    """
    title, is_there, rest = text.partition("=")
    address, *options = rest.split(",")
    if not is_there:
        raise ConfigurationError(f"a destination is written AET=host:port, unlike {text!r}")
    values: dict[str, Any] = {"address": address}
    for option in options:
        name, _, value = option.partition("=")
        try:
            # Numbers and booleans are in JSON what they are in TOML.
            values[name.strip()] = json.loads(value)
        except ValueError:
            values[name.strip()] = value
    return title, _Reading(f"the destination {text!r}", "").destination(title, values)


def parse_access(text: str) -> tuple[str, tuple[str, ...]]:
    """What a peer may do as a flag has it: `AET=echo,store`. Raises ConfigurationError."""
    title, is_there, rest = text.partition("=")
    if not is_there:
        raise ConfigurationError(f"access is written AET=operation,operation, unlike {text!r}")
    return title, parse_operations(title, rest)


def parse_operations(name: str, text: str) -> tuple[str, ...]:
    """Operations as a flag has them, parted by commas; empty for none. Raises ConfigurationError."""
    operations = tuple(operation.strip() for operation in text.split(",") if operation.strip())
    try:
        check_title(name)
        Operations().check(operations)
    except ValueError as error:
        raise ConfigurationError(f"{name} {error}") from None
    return operations


def as_toml(configuration: Configuration) -> str:
    """All of it as a TOML file with comments; `load` gives the same configuration again."""
    lines = ["# The configuration of `dimsefast serve`. What is left out has its default.", ""]
    for name, kind in SECTIONS.items():
        section = getattr(configuration, name)
        lines.append(f"[{name}]")
        for setting in settings_of(kind):
            lines.append(f"# {_words(setting)}")
            lines.append(f"{setting.name} = {_toml(getattr(section, setting.name))}")
        lines.append("")
    lines.append("[access.peers]")
    lines.append('# What certain AEs may do, by calling AE title: MODALITY = ["echo", "store"]')
    lines += [f"{_key(title)} = {_toml(operations)}" for title, operations in configuration.access.peers.items()]
    lines += ["", "[destinations]"]
    lines.append("# Where C-MOVE sends objects, and where storage commitment is reported to, by AE title:")
    lines.append('# WORKSTATION = "10.0.0.7:11112"')
    lines.append('# or with settings: WORKSTATION = { address = "10.0.0.7:11112", parallel_associations = 4 }:')
    lines += [f"#   {setting.name}: {_words(setting)}" for setting in settings_of(DestinationSettings)]
    for title, destination in configuration.destinations.items():
        pairs = {setting.name: getattr(destination, setting.name) for setting in settings_of(DestinationSettings)}
        inline = ", ".join(f"{name} = {_toml(value)}" for name, value in pairs.items())
        lines.append(f"{_key(title)} = {{ {inline} }}")
    return "\n".join(lines) + "\n"


def _words(setting: Field[Any]) -> str:
    default = "" if setting.default == "" else f" Default: {_toml(setting.default)}"
    return f"{setting.metadata['words']}{default}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    """A value: JSON's spelling is TOML's, but for surrogates, which no setting has, and the character DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
