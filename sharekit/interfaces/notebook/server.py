"""The start page as an application: Voilà on loopback, behind a token, its Host and its Origin."""

from __future__ import annotations

import json
import os
import secrets
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tornado.httputil import HTTPServerRequest
from tornado.web import StaticFileHandler
from voila.app import Voila

from sharekit.core.files import private_opener

_HERE: Final = Path(__file__).parent
#: The only address that is listened on, and what requests may call it.
_ADDRESS: Final = "127.0.0.1"
#: Seconds after which the Python of a page ends that is closed, unless it sends a run.
_IDLE: Final = 3600
_EXTENSIONS: Final = [
    "@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "anywidget",
]  # fmt: skip
_NAMES: Final = (_ADDRESS, "localhost")


class Server(Voila):  # type: ignore[misc]  # it has no types
    """Voilà for one page, which answers nobody but the browser that was given the token."""

    ready: Callable[[str], None]

    def init_settings(self) -> dict[str, Any]:
        """Return Voilà's settings, with a sign-in page of our own, which speaks of no passwords."""
        settings: dict[str, Any] = super().init_settings()
        settings["jinja2_env"].loader.searchpath.insert(0, str(_HERE / "voila"))
        return settings

    def init_handlers(self) -> list[Any]:
        """Return Voilà's handlers, each of which refuses what another site or machine sends."""
        return [
            (path, _guarded(handler, self), *more)
            for path, handler, *more in super().init_handlers()
        ]

    def launch_browser(self) -> None:
        """Tell where the page is; called once the server listens."""
        self.ready(f"http://{_ADDRESS}:{self.port}/login?token={self.token}")

    def is_own(self, request: HTTPServerRequest) -> bool:
        """Return True if a request names this server as its host, and no other site as its origin.

        Whatever reaches the port by another name was led there: by a name that a foreign site has
        resolved to this machine, or by a page of such a site.
        """
        origin = request.headers.get("Origin") or request.headers.get("Sec-Websocket-Origin")
        ours = request.host in [f"{name}:{self.port}" for name in _NAMES]
        return ours and origin in (None, f"http://{request.host}")


def _guarded(handler: Any, server: Server) -> Any:
    class Guarded(handler):  # type: ignore[misc]  # any of Voilà's
        def prepare(self) -> Any:
            # Files of Voilà's own ask for no token by themselves.
            static = isinstance(self, StaticFileHandler)
            if server.is_own(self.request) and not (
                static and server.identity_provider.get_user_cookie(self) is None
            ):
                return super().prepare()
            self.set_status(403)  # not by raising, which would look up who asks
            return self.finish("This address is not for you.\n")

    return Guarded


def serve(page: Mapping[str, Any], port: int, folder: Path, ready: Callable[[str], None]) -> None:
    """Serve ``sharekit.app(**page)`` until Ctrl-C; each tab has a Python of its own.

    ``ready`` is called with the address, which holds the token. ``folder`` is the one that is
    served, and holds nothing but the page: no file of anybody is reached by an address.
    """
    os.environ["JUPYTER_PATH"] = str(_HERE)
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # the kernel of this Python, not one of elsewhere
    source = f"import json, sharekit\nsharekit.app(**json.loads({json.dumps(page)!r}))"
    cell: dict[str, Any] = {"cell_type": "code", "id": "app", "source": source,
            "metadata": {}, "outputs": [], "execution_count": None}  # fmt: skip
    about = {"title": "sharekit", "kernelspec": {"name": "python3", "display_name": "Python"}}
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": about, "cells": [cell]}
    path = folder / "sharekit.ipynb"
    path.write_text(json.dumps(book), encoding="utf-8")
    server = Server(
        ip=_ADDRESS, port=port, token=secrets.token_urlsafe(32), log_level="ERROR",
        config_file_paths=[],  # else what lies in the working directory would be run
        tornado_settings={"allow_remote_access": False, "log_function": lambda _: None,
                          "ws_ping_timeout": 30_000},
    )  # fmt: skip
    server.ready = ready
    server.config.VoilaConfiguration.update(
        template="sharekit", file_allowlist=[], allow_theme_override="NO",
        allow_template_override="NO", show_tracebacks=False,
        extension_allowlist=_EXTENSIONS,
    )  # fmt: skip
    server.config.PasswordIdentityProvider.allow_password_change = False
    # A page that is gone, and sends nothing, needs no Python.
    server.config.MappingKernelManager.cull_idle_timeout = _IDLE
    if os.name == "posix":  # a port of this machine is open to all of its accounts
        server.config.KernelManager.transport = "ipc"
        server.connection_dir_root = "/tmp"  # noqa: S108 - Voilà makes a private folder in it
    server.initialize([str(path)])
    server.start()


def open_browser(url: str, folder: Path) -> None:
    """Open an address by a file, since others see the arguments of a browser that is started."""
    path = folder / "open.html"
    with open(path, "w", encoding="utf-8", opener=private_opener) as file:
        file.write(f'<meta http-equiv="refresh" content="0; url={url}">')
    webbrowser.open(path.as_uri())
