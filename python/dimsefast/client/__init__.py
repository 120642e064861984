"""The client: a peer's services in one call each."""

from .client import Client
from .peer import Peer
from .receiver import Received, Receiver
from .reports import Failure, Progress, Report, RetrieveReport, StoreReport

__all__ = ["Client", "Failure", "Peer", "Progress", "Received", "Receiver", "Report", "RetrieveReport", "StoreReport"]
