"""The same for asyncio: `AE`, `Association` and `Client`, with `await`, `async with` and `async for`.

Names, arguments, defaults and errors are those of the blocking face. What is different:

- An association belongs to the event loop that made it. Several loops in several threads work side by side.
- A task that is cancelled while it waits for the responses of C-FIND, C-GET or C-MOVE leaves the association usable:
  C-CANCEL is sent at once, and the next request waits until the rest has been taken off. While it waits for anything
  else the association is aborted, because the peer may have half a message.
- `release` is awaited; `abort` aborts when it is called and may be awaited, too.
- Handlers of servers may be `async def`: they run on the loop that started the server, those of C-FIND, C-GET and
  C-MOVE as asynchronous generators. Plain handlers run on threads of the library, as they do in the blocking face, and
  never hold up the loop.

What the network does needs no thread: the core drives all connections, and wakes a loop once for all that has come
meanwhile. Threads are used for what the system can only wait for on one: reading files to be sent (asyncio's default
executor), names to be resolved, and a handler's turn.
"""

from .ae import AE
from .association import Association
from .client import Client
from .server import AssociationServer

__all__ = ["AE", "Association", "AssociationServer", "Client"]
