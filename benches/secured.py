"""TLS for the cells: one certificate, which both ends show each other."""

from __future__ import annotations

from pathlib import Path

import trustme
from dimsefast import TLS
from objects import Setting
from process import program

#: In front of the arguments of `serve.py` and `call.py`: speak TLS with what this folder has.
OPTION = "--tls="
#: The only suite of TLS 1.3 that OpenSSL is to have: the one that the core prefers.
OPENSSL = """
openssl_conf = whole
[whole]
ssl_conf = tls
[tls]
system_default = suites
[suites]
Ciphersuites = TLS_AES_128_GCM_SHA256
"""


def certificates(setting: Setting) -> Path:
    """The folder with ca.pem, node.pem, node.key and openssl.cnf, made once a run.

    RSA of 2,048 bits, as most devices have.
    """
    folder = setting.work / "certificates"
    if not folder.exists():
        folder.mkdir()
        ca = trustme.CA(key_type=trustme.KeyType.RSA)
        node = ca.issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)
        ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        (folder / "node.pem").write_bytes(b"".join(pem.bytes() for pem in node.cert_chain_pems))
        node.private_key_pem.write_to_path(str(folder / "node.key"))
        (folder / "openssl.cnf").write_text(OPENSSL)
    return folder


def option(setting: Setting) -> str:
    """For the scripts."""
    return f"{OPTION}{certificates(setting)}"


def dcmtk(setting: Setting, name: str) -> list[object]:
    """One of DCMTK's programs, with the suite that dimsefast prefers: OpenSSL would choose a longer key."""
    folder = certificates(setting)
    tls = ["+tls", folder / "node.key", folder / "node.pem", "+cf", folder / "ca.pem"]
    return ["env", f"OPENSSL_CONF={folder / 'openssl.cnf'}", program(name), *tls]


def chosen(arguments: list[str]) -> tuple[TLS | None, list[str]]:
    """What the arguments say about TLS, and the others."""
    if not arguments or not arguments[0].startswith(OPTION):
        return None, arguments
    folder = Path(arguments[0].removeprefix(OPTION))
    return TLS(folder / "node.pem", folder / "node.key", ca=folder / "ca.pem"), arguments[1:]
