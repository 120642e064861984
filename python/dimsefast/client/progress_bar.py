"""The bar itself, drawn by rich: imported where one is drawn, so that importing the package stays cheap."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from .reports import Progress, ProgressHandler, size_words


@contextlib.contextmanager
def bar(what: str, with_bytes: bool = True) -> Iterator[ProgressHandler]:
    """A bar on the standard error output; gives the function that moves it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("objects"),
        *((_Bytes(), _Rate()) if with_bytes else ()),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=None, bytes=0)

        def show(progress: Progress) -> None:
            bars.update(task, completed=progress.done, total=progress.total, bytes=progress.bytes)

        yield show


class _Bytes(ProgressColumn):
    """The bytes that were transferred: the bar itself counts objects."""

    def render(self, task: Task) -> Text:
        """Called by rich."""
        return Text(size_words(task.fields["bytes"]), style="progress.download")


class _Rate(ProgressColumn):
    """Bytes a second."""

    def render(self, task: Task) -> Text:
        """Called by rich."""
        seconds = task.elapsed or 0.0
        rate = task.fields["bytes"] / seconds if seconds > 0 else 0.0
        return Text(f"{size_words(rate)}/s", style="progress.data.speed")
