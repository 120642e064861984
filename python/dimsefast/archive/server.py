"""An archive that is served as its configuration says: what `dimsefast serve` runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Self

from pydicom.dataset import Dataset

from .. import evt
from ..ae import AE
from ..client.peer import parse_address
from ..presentation import PresentationContext
from ..server import AssociationServer
from ..statistics import Metric, prometheus_text, server_metrics
from .archive import Archive
from .configuration import ConfigurationError
from .errors import ArchiveError
from .logs import association_handlers
from .monitoring import Monitoring
from .provider import Provider
from .retrieval import Destination
from .settings import AccessSettings, Configuration, DestinationSettings

LOGGER = logging.getLogger("dimsefast.archive")

#: At the end an association on which nothing happens for so many seconds is not waited for.
_IDLE = 1.0
#: What stands for no limit where a number of seconds is needed.
_NO_LIMIT = 1e9


class ArchiveServer:
    """Opens the archive, and serves it until `stop`.

    Raises ArchiveError where the archive cannot be opened, OSError where an address cannot be bound, ConfigurationError
    for access rules that let nobody do anything.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self._is_stopping = False
        storage, query, workflow = configuration.storage, configuration.query, configuration.workflow
        self.archive = Archive(
            storage.location,
            database=storage.database or None,
            durability=storage.durability,
            duplicates=storage.duplicates,
            local_timezone=query.local_timezone or None,
        )
        try:
            granted = {"relational": query.relational, "fuzzy": query.fuzzy}
            self.provider = Provider(
                self.archive,
                destinations=self._destination,
                worklist=query.worklist or None,
                refused=[name for name, is_granted in granted.items() if not is_granted],
                commitment=workflow.commitment,
                report_on_same_association=workflow.report_on_same_association,
                mpps=workflow.mpps,
            )
            self.server = self._listen()
            try:
                self.monitoring = self._monitor()
            except BaseException:
                self.server.shutdown()
                raise
        except BaseException:
            self.archive.close()
            raise

    def _listen(self) -> AssociationServer:
        network = self.configuration.network
        ae = AE(network.ae_titles[0])
        ae.require_called_aet = network.require_called_aet
        ae.maximum_associations = network.maximum_associations
        ae.maximum_associations_per_calling_aet = network.maximum_associations_per_peer or None
        ae.maximum_pdu_size = network.maximum_pdu
        ae.acse_timeout = network.acse_timeout or None
        ae.dimse_timeout = network.dimse_timeout or None
        ae.network_timeout = network.network_timeout or None
        offers = Offers(self.provider, self.configuration.access)
        server = ae.start_server(
            (network.address, network.port),
            block=False,
            evt_handlers=[*self._handlers(), *association_handlers()],
            ae_title=network.ae_titles,
            contexts=offers.others,
            store_to=self.archive.store_to,
            contexts_by_calling_aet=offers.by_calling_aet,
        )
        assert server is not None
        return server

    def _handlers(self) -> Iterator[tuple[Any, Callable[..., Any]]]:
        """The provider's, with the limit of matches."""
        limit = self.configuration.query.maximum_matches
        for event, handler in self.provider.handlers:
            yield event, limited(handler, limit) if event is evt.EVT_C_FIND and limit else handler

    def _monitor(self) -> Monitoring | None:
        address = self.configuration.metrics.address
        if not address:
            return None
        return Monitoring(parse_address(address, "metrics", "host:port"), self.metrics, self.problems)

    def _destination(self, title: str) -> Destination | None:
        """Where a destination is: asked for each C-MOVE and report, so that the configuration may change."""
        found = self.configuration.destinations.get(title.strip())
        return None if found is None else address_of(found)

    @property
    def address(self) -> str:
        """host:port where it listens."""
        host, port = self.server.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def reload(self, configuration: Configuration) -> list[str]:
        """Takes over the destinations and the access rules, for what begins from now on.

        Gives the names of the sections that have changed besides, for which it has to be started anew. Raises
        ConfigurationError for access rules that let nobody do anything; nothing has changed then.
        """
        before = self.configuration
        offers = Offers(self.provider, configuration.access)
        self.configuration = replace(before, destinations=configuration.destinations, access=configuration.access)
        self.server.offer(offers.others, offers.by_calling_aet)
        sections = ("storage", "network", "query", "workflow", "log", "metrics")
        return [name for name in sections if getattr(before, name) != getattr(configuration, name)]

    def stop(self, grace: float | None = None) -> None:
        """Takes no more associations, lets those that there are finish what is in progress, and closes the archive.

        Those that have not finished after `grace` seconds are aborted; default the configuration's `shutdown_timeout`.
        """
        if grace is None:
            grace = self.configuration.network.shutdown_timeout or _NO_LIMIT
        self._is_stopping = True
        self.server.shutdown(grace, _IDLE)
        if self.monitoring is not None:
            self.monitoring.close()
        self.archive.close()

    def abort(self) -> None:
        """Ends a `stop` that is waiting: aborts all associations."""
        self.server.shutdown()

    def metrics(self) -> str:
        """Everything in Prometheus' text format."""
        found = self.archive.statistics()
        held = [
            Metric(f"dimsefast_archive_{name}", "gauge", words, [({}, found[name])])
            for name, words in (
                ("patients", "Patients that are indexed."),
                ("studies", "Studies that are indexed."),
                ("series", "Series that are indexed."),
                ("instances", "Objects that are indexed."),
                ("bytes", "Bytes of the files of the objects that are indexed."),
                ("waiting", "Objects that are stored and wait to be indexed."),
            )
        ]
        held.append(
            Metric(
                "dimsefast_archive_free_bytes",
                "gauge",
                "Bytes that are free where the objects are.",
                [({}, self.archive.storage.free_bytes())],
            )
        )
        return prometheus_text([*server_metrics(self.server.statistics()), *held])

    def problems(self) -> list[str]:
        """What keeps it from being ready, a line each."""
        problems = ["it is being stopped"] if self._is_stopping else []
        least = self.configuration.metrics.minimum_free_space
        try:
            free = self.archive.storage.free_bytes()
            if free < least:
                problems.append(f"disk: {free} bytes are free, {least} have to be")
        except OSError as error:
            problems.append(f"disk: {error}")
        indexer = self.archive.indexer
        if not indexer.is_alive:
            problems.append("indexer: it does not run")
        elif indexer.problem is not None:
            problems.append(f"indexer: {indexer.problem}")
        try:
            with self.archive.database.writing():
                pass
        except ArchiveError as error:
            problems.append(f"index: {error}")
        return problems

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(0)


class Offers:
    """What a server offers to whom, by what each may do.

    Attributes:
        others: to those that are not named.
        by_calling_aet: to those that are; the same list where they may do the same.
    """

    def __init__(self, provider: Provider, access: AccessSettings) -> None:
        made: dict[frozenset[str], list[PresentationContext]] = {}

        def offer(operations: tuple[str, ...]) -> list[PresentationContext]:
            allowed = frozenset(operations)
            if allowed not in made:
                made[allowed] = provider.contexts(allowed)
            return made[allowed]

        self.others = offer(access.others)
        self.by_calling_aet = {title.strip(): offer(operations) for title, operations in access.peers.items()}
        if not any(made.values()):
            raise ConfigurationError("[access] lets nobody do anything: name some operations, in others or in peers")


def address_of(destination: DestinationSettings) -> Destination:
    """A destination as the provider takes it."""
    host, port = parse_address(destination.address, "a destination", "host:port", 1)
    options = {
        "parallel_associations": destination.parallel_associations,
        "retries": destination.retries,
        "decompress": destination.decompress,
    }
    return host, port, options


def limited(handler: Callable[..., Iterator[Any]], limit: int) -> Callable[..., Iterator[Any]]:
    """A handler of C-FIND, which yields lists of matches, that ends with A700H where there are more than `limit`."""

    def on_find(event: Any) -> Iterator[Any]:
        count = 0
        for answer in handler(event):
            status, matches = answer
            if status == _PENDING:
                if count + len(matches) > limit:
                    if count < limit:
                        yield status, matches[: limit - count]
                    yield _too_many(limit), None
                    return
                count += len(matches)
            yield answer

    return on_find


_PENDING, _OUT_OF_RESOURCES = 0xFF00, 0xA700


def _too_many(limit: int) -> Dataset:
    status = Dataset()
    status.Status = _OUT_OF_RESOURCES
    status.ErrorComment = f"more than {limit} matches: ask for less"
    return status
