"""The configuration: read, checked, written, and read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from dimsefast.archive.configuration import (
    ConfigurationError,
    as_toml,
    changed,
    load,
    parse_access,
    parse_destination,
    with_paths_from,
)
from dimsefast.archive.settings import SECTIONS, AccessSettings, Configuration, DestinationSettings, settings_of
from dimsefast.archive.toml_lines import line_of


def written(folder: Path, text: str) -> Path:
    path = folder / "serve.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    configuration = Configuration(
        access=AccessSettings((), {"CT 1": ("echo", "store"), "NOBODY": ()}),
        destinations={
            "WORK": DestinationSettings("[::1]:104", 4, 2, True, True),
            'A"B': DestinationSettings("ws:11112"),
        },
    )
    configuration = changed(configuration, "storage", {"database": 'a\n"\\€#\x7f[', "durability": "power"})
    configuration = changed(configuration, "network", {"ae_titles": ("ONE", "TWO"), "acse_timeout": 0.5, "port": 0})
    configuration = changed(configuration, "network", {"proxy_protocol": ("10.0.0.0/8", "::1")})
    configuration = changed(
        configuration, "tls", {"certificate": "node.pem", "key": "node.key", "verify_peer": "request"}
    )
    configuration = with_paths_from(configuration, tmp_path)
    text = as_toml(configuration)
    assert load(written(tmp_path, text)) == configuration
    for kind in SECTIONS.values():
        for setting in settings_of(kind):
            assert f"# {setting.metadata['words']}" in text
    defaults = with_paths_from(Configuration(), tmp_path)
    assert load(written(tmp_path, "")) == load(written(tmp_path, as_toml(defaults))) == defaults


def test_paths_begin_at_the_folder_of_the_file(tmp_path: Path) -> None:
    text = '[storage]\nlocation = "objects"\n[log]\nfile = "/var/log/archive.log"\n[query]\nworklist = "../items"\n'
    found = load(written(tmp_path, text))
    assert found.storage.location == str(tmp_path / "objects")
    assert (found.log.file, found.query.worklist) == ("/var/log/archive.log", str(tmp_path / "../items"))
    url = 'storage.location = "file:///srv/archive"'
    assert load(written(tmp_path, url)).storage.location == "file:///srv/archive"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[network]\nport = 70000\n", 2, "[network] port is a whole number from 0 to 65535, not 70000"),
        (
            "[network]\n# port\nprot = 104\n",
            3,
            "[network] prot is no setting of this configuration: did you mean 'port'?",
        ),
        ("[netwrok]\nport = 104\n", 1, "[netwrok] is no section of this configuration: did you mean 'network'?"),
        ("[zoo]\n", 1, "[zoo] is no section of this configuration: there are storage, network,"),
        ("network = 5\n", 1, "[network] is a section with settings, not 5"),
        ('\n[network]\nport = "104"\n', 3, "port is a whole number"),
        ("[network]\nport = true\n", 2, "port is a whole number"),
        ('[network]\nproxy_protocol = "10.0.0.0/8"\n', 2, "proxy_protocol is a list of networks"),
        ('[network]\nproxy_protocol = ["10.0.0.0/8", "lb"]\n', 2, "has 'lb', which is no network"),
        ('[tls]\nverify_peer = "maybe"\n', 2, "[tls] verify_peer is 'require' or 'request' or 'none'"),
        ("[network]\nacse_timeout = -1\n", 2, "acse_timeout is a number of seconds"),
        ('[network]\nae_titles = "A"\n', 2, "ae_titles is a list of AE titles"),
        ('[network]\nae_titles = ["A", \n "MUCH TOO LONG A TITLE"]\n', 2, "has a title that is none"),
        ('[storage]\ndurability = "disk"\n', 2, "durability is 'process' or 'power', not 'disk'"),
        ("[query]\nrelational = 1\n", 2, "relational is true or false, not 1"),
        ('[query]\nlocal_timezone = "CET"\n', 2, "local_timezone is a UTC offset such as +0100"),
        ('[metrics]\naddress = "9100"\n', 2, "address is no address"),
        ('[access]\nothers = ["echo", "delete"]\n', 2, "'delete' is none of them"),
        ('[access]\nothers = []\n[access.peers]\nA = ["echo"]\nB = "store"\n', 5, "[access.peers] B is a list of"),
        ('[access.peers]\n"" = ["echo"]\n', 2, "has a title that is none"),
        ('[destinations]\nWORK = "10.0.0.7"\n', 2, "[destinations.WORK] address is no address"),
        ("[destinations]\nWORK = 104\n", 2, '[destinations] WORK is "host:port", or a table with an address'),
        ('[destinations.WORK]\naddress = "h:1"\nretires = 2\n', 3, "did you mean 'retries'?"),
        ('[storage]\nlocation = """\nport = 5\n"""\n[network]\nport = -1\n', 6, "port is a whole number"),
        ("network.port = -1\n", 1, "port is a whole number"),
        ("network = { port = -1 }\n", 1, "port is a whole number"),
        ("[network]\nport = \n", 2, "is no TOML file: Invalid value (at line 2"),
    ],
)
def test_errors_name_file_line_and_key(text: str, line: int, words: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and words in message and f"line {line}" in message
    assert "\n" not in message


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"nowhere\.toml"):
        load(tmp_path / "nowhere.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="is no TOML file"):
        load(tmp_path / "binary.toml")


def test_destinations_and_access_as_flags_have_them() -> None:
    assert parse_destination("WORK=10.0.0.7:104") == ("WORK", DestinationSettings("10.0.0.7:104"))
    assert parse_destination("W=[::1]:104,retries=2,decompress=true") == (
        "W",
        replace(DestinationSettings("[::1]:104"), retries=2, decompress=True),
    )
    assert parse_access("CT=echo, store") == ("CT", ("echo", "store"))
    assert parse_access("CT=") == ("CT", ())
    for parse, text, words in (
        (parse_destination, "WORK", "AET=host:port"),
        (parse_destination, "WORK=nowhere", "no address"),
        (parse_destination, "WORK=h:1,retires=2", "did you mean 'retries'"),
        (parse_destination, "WORK=h:1,retries=many", "retries is a whole number"),
        (parse_access, "CT", "AET=operation"),
        (parse_access, "CT=look", "'look' is none of them"),
        (parse_access, "A TITLE THAT IS TOO LONG=echo", "has a title that is none"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            parse(text)


def test_lines_of_keys_in_whatever_toml_allows() -> None:
    text = "\n".join(
        (
            "top = 1 # [not.a.table]",
            "\"quoted key\" = '''",
            "[inner]",
            "'''",
            "[[list]]",
            "a.b . 'c' = [",
            "  { d = 1 }, # ]",
            "  [ 2 ],",
            "]",
            "e = 1",
            '[x . "y.z"]',
            "f = { g = { h = 1 } }",
        )
    )
    assert line_of(text, ("top",)) == 1
    assert line_of(text, ("quoted key",)) == 2
    assert line_of(text, ("inner",)) is None
    assert line_of(text, ("list", "a", "b", "c")) == 6
    assert line_of(text, ("list", "e")) == 10
    assert line_of(text, ("x", "y.z", "f", "g")) == 12
    assert line_of(text, ("x", "y.z", "unknown")) == 11
