"""The templates of pages; nothing from data becomes markup."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jinja2
from markupsafe import Markup

from sharekit.core.html import escape_invisible


def templates(package: str, show: Callable[[Any], Any] | None = None) -> jinja2.Environment:
    """Return the environment of a package's templates, in which no value can become markup.

    Every value but markup that our own code made passes ``show`` (by default, texts are spelled
    out by :func:`escape_invisible`); then Jinja escapes it. An unknown name is an error.
    """

    def shown(value: Any) -> Any:
        if isinstance(value, Markup):
            return value
        if show is not None:
            return show(value)
        return escape_invisible(value) if isinstance(value, str) else value

    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        finalize=shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
