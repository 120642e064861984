"""Quotas of an acceptor: what one address, or one calling AE title, may use."""

from __future__ import annotations

from dataclasses import dataclass

#: The least that makes sense for `Quota.bytes_per_second`: as much is read at once several times over.
LEAST_BYTES_PER_SECOND = 65536


@dataclass(frozen=True)
class Quota:
    """What a party may use, over all its associations with a server; None for no limit.

    Args:
        associations: at the same time; one more is rejected (transient, local limit exceeded).
        bytes_per_second: received, at least `LEAST_BYTES_PER_SECOND`. Beyond that, after a second's worth at once, the
            party's connections are not read for a while, at most half the network time-out at a time.
        requests_per_second: likewise; what came in one read is performed before the pause.

    Raises ValueError for a limit that is not positive, or too small.
    """

    associations: int | None = None
    bytes_per_second: float | None = None
    requests_per_second: float | None = None

    def __post_init__(self) -> None:
        if self.associations is not None and self.associations < 1:
            raise ValueError(f"a quota of associations is a positive int or None, not {self.associations!r}")
        if self.bytes_per_second is not None and not self.bytes_per_second >= LEAST_BYTES_PER_SECOND:
            raise ValueError(
                f"a quota of bytes a second is at least {LEAST_BYTES_PER_SECOND} or None, not {self.bytes_per_second!r}"
            )
        if self.requests_per_second is not None and not self.requests_per_second > 0:
            raise ValueError(f"a quota of requests a second is positive or None, not {self.requests_per_second!r}")


class QuotaOptions:
    """The quotas of an application entity."""

    _quota_per_address: Quota | None = None
    _quota_per_calling_aet: Quota | None = None

    @property
    def quota_per_address(self) -> Quota | None:
        """What the peers at one address may use together; default None: no limit. Holds for later associations."""
        return self._quota_per_address

    @quota_per_address.setter
    def quota_per_address(self, value: Quota | None) -> None:
        self._quota_per_address = _checked(value)
        self._refresh()

    @property
    def quota_per_calling_aet(self) -> Quota | None:
        """What the peers of one calling AE title may use together; default None: no limit. Holds for later
        associations.
        """
        return self._quota_per_calling_aet

    @quota_per_calling_aet.setter
    def quota_per_calling_aet(self, value: Quota | None) -> None:
        self._quota_per_calling_aet = _checked(value)
        self._refresh()

    def _refresh(self) -> None:
        raise NotImplementedError


def core_quota(quota: Quota | None) -> tuple[int | None, float | None, float | None] | None:
    """As the core takes it."""
    return None if quota is None else (quota.associations, quota.bytes_per_second, quota.requests_per_second)


def _checked(value: Quota | None) -> Quota | None:
    if value is not None and not isinstance(value, Quota):
        raise TypeError(f"a quota is a Quota or None, not {type(value).__name__}")
    return value
