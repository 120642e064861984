"""A C-STORE receiver that writes files without Python in the way.

python examples/cstore_scp.py incoming --port 11114
"""

import argparse
from pathlib import Path

from dimsefast import AE, presentation
from dimsefast.sop_class import Verification


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=11114)
    parser.add_argument("--ae-title", default="STORESCP")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    ae = AE(arguments.ae_title)
    ae.add_supported_context(Verification)
    for context in presentation.AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, presentation.ALL_TRANSFER_SYNTAXES)
    with ae.start_server(("127.0.0.1", arguments.port), block=False, store_to=arguments.folder) as server:
        print(f"{ae.ae_title} listens on 127.0.0.1:{server.port}", flush=True)
        server.serve_until_shutdown()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
