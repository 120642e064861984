"""Process-wide defaults, as module variables that are read when they are used."""

from __future__ import annotations

from typing import Literal

#: Whether negotiation items refuse every UID that does not conform to PS3.5 9.1.
ENFORCE_UID_CONFORMANCE: bool = False
#: Whether what passes is logged, as "dimsefast.traffic": "standard" or "none". Read when an association begins.
LOG_HANDLER_LEVEL: Literal["standard", "none"] = "standard"
#: Whether the identifiers of C-FIND, C-GET and C-MOVE requests, and of their responses, are logged at DEBUG: they
#: identify patients. Read when an association begins.
LOG_REQUEST_IDENTIFIERS: bool = False
LOG_RESPONSE_IDENTIFIERS: bool = False
#: Whether files are never decoded to find out what they are: where the file meta group does not say it, that is an
#: AttributeError. They are sent without being decoded in either case, where their transfer syntax was accepted.
STORE_SEND_CHUNKED_DATASET: bool = False
#: Whether received objects go to a temporary file each (`event.dataset_path`) instead of memory.
STORE_RECV_CHUNKED_DATASET: bool = False
#: Whether an acceptor takes any abstract syntax as a storage class.
UNRESTRICTED_STORAGE_SERVICE: bool = False
