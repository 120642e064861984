"""Servers under the module name that pynetdicom's users know."""

from .server import AddressInformation, AssociationServer, ThreadedAssociationServer

__all__ = ["AddressInformation", "AssociationServer", "ThreadedAssociationServer"]
