"""The DIMSE-N requests of an association, for asyncio."""

from __future__ import annotations

from typing import Any, cast

from pydicom.dataset import Dataset

from ..association_base import AssociationBase
from ..normalized import N_ACTION, N_CREATE, N_DELETE, N_EVENT_REPORT, N_GET, N_SET, Service, prepare, send


class NormalizedRequests:
    """See `dimsefast.normalized.NormalizedRequests`."""

    async def send_n_event_report(
        self,
        dataset: Dataset | None,
        event_type: int,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> tuple[Dataset, Dataset | None]:
        """See `dimsefast.Association.send_n_event_report`."""
        return await self._exchange(N_EVENT_REPORT, msg_id, class_uid, instance_uid, meta_uid, dataset, event_type)

    async def send_n_get(
        self,
        identifier_list: list[Any] | None,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> tuple[Dataset, Dataset | None]:
        """See `dimsefast.Association.send_n_get`."""
        return await self._exchange(N_GET, msg_id, class_uid, instance_uid, meta_uid, attributes=identifier_list)

    async def send_n_set(
        self,
        dataset: Dataset,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> tuple[Dataset, Dataset | None]:
        """See `dimsefast.Association.send_n_set`."""
        return await self._exchange(N_SET, msg_id, class_uid, instance_uid, meta_uid, dataset)

    async def send_n_action(
        self,
        dataset: Dataset | None,
        action_type: int,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> tuple[Dataset, Dataset | None]:
        """See `dimsefast.Association.send_n_action`."""
        return await self._exchange(N_ACTION, msg_id, class_uid, instance_uid, meta_uid, dataset, action_type)

    async def send_n_create(
        self,
        dataset: Dataset | None,
        class_uid: str,
        instance_uid: str | None = None,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> tuple[Dataset, Dataset | None]:
        """See `dimsefast.Association.send_n_create`."""
        return await self._exchange(N_CREATE, msg_id, class_uid, instance_uid, meta_uid, dataset)

    async def send_n_delete(
        self,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> Dataset:
        """See `dimsefast.Association.send_n_delete`."""
        status, _ = await self._exchange(N_DELETE, msg_id, class_uid, instance_uid, meta_uid)
        return status

    async def _exchange(
        self,
        service: Service,
        msg_id: int | None,
        sop_class: str,
        sop_instance: str | None,
        meta_sop_class: str | None,
        dataset: Dataset | None = None,
        type_id: int | None = None,
        attributes: Any = None,
    ) -> tuple[Dataset, Dataset | None]:
        association = cast(AssociationBase, self)
        request = prepare(association, service, sop_class, sop_instance, meta_sop_class, dataset, type_id, attributes)
        return await send(association, request, msg_id)
