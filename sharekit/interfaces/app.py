"""The start page of a folder of runs, for a cell of a notebook and for ``sharekit app``."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.spreadsheets.input import Limits

from .review import review
from .run_folder import RunFolder

if TYPE_CHECKING:
    from .notebook.start import App


@checks_arguments
def app(
    folder: str | PathLike[str] = ".", *, reviewer: str = "", limits: Limits | None = None
) -> App:
    """Show the start page of a folder: choose a workbook and clouds, begin runs, and go on.

    Parameters
    ----------
    folder : path
        Where workbooks are uploaded to, and where ledgers and reports are written.
    reviewer : str
        Who decides, for the report; the page asks for it too.
    limits : Limits, optional
        How much an uploaded file may hold.

    Returns
    -------
    App
        A widget. ``sharekit app`` in a shell serves it without a notebook.

    Raises
    ------
    UsageError
        There is no such folder.
    SignInError
        The ``clouds.yaml`` cannot be read.

    Examples
    --------
    >>> app("runs", reviewer="Ada")  # doctest: +SKIP
    """
    from .notebook.start import App  # noqa: PLC0415 - widgets load slowly

    return App(
        RunFolder(folder, limits),
        lambda path, clouds, name: review(path, clouds, reviewer=name),
        reviewer=reviewer,
    )
