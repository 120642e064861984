"""An asyncio service: receives objects into a folder, and answers queries about what it has received.

python examples/asyncio_service.py FOLDER --port 11116
"""

import argparse
import asyncio
from pathlib import Path

from dimsefast import Matcher, MatchError, aio, evt, presentation
from dimsefast.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification
from pydicom import dcmread


class Service:
    def __init__(self, folder):
        self.folder = folder
        self.headers = {}
        self.arrived = asyncio.Queue()

    async def on_store(self, event):
        """The file is there already: the peer gets its answer without waiting for the index."""
        await self.arrived.put(event.dataset_path)
        return 0x0000

    async def on_find(self, event):
        await self.arrived.join()  # a query sees what was stored before it
        try:
            query = Matcher(event.identifier, model=event.context.abstract_syntax)
        except MatchError as error:
            yield error.as_status(), None
            return
        for header in list(self.headers.values()):
            if query.matches(header):
                yield 0xFF00, query.response(header, retrieve_aet=event.assoc.ae.ae_title)
            if event.is_cancelled:
                yield 0xFE00, None
                return

    async def index(self):
        """Reads what arrives, beside everything else."""
        while True:
            path = await self.arrived.get()
            try:
                header = await asyncio.to_thread(dcmread, path, stop_before_pixels=True)
                self.headers[header.SOPInstanceUID] = header
                print(f"indexed {path.name}", flush=True)
            finally:
                self.arrived.task_done()


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=11116)
    parser.add_argument("--ae-title", default="SERVICE")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    service = Service(arguments.folder)
    ae = aio.AE(arguments.ae_title)
    for uid in (Verification, StudyRootQueryRetrieveInformationModelFind):
        ae.add_supported_context(uid)
    for context in presentation.AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, presentation.ALL_TRANSFER_SYNTAXES)
    handlers = [(evt.EVT_C_STORE, service.on_store), (evt.EVT_C_FIND, service.on_find)]
    address = ("127.0.0.1", arguments.port)
    async with asyncio.TaskGroup() as tasks, ae:
        server = await ae.start_server(address, block=False, evt_handlers=handlers, store_to=service.folder)
        print(f"{ae.ae_title} listens on 127.0.0.1:{server.port}", flush=True)
        tasks.create_task(service.index())
        await server.serve_until_shutdown()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("stopped")
