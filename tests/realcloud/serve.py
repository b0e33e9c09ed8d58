"""Serves Keystone or Glance with waitress; runs in the servers' own environment.

Around the server's own application lies one address of ours, ``/realcloud``: it counts requests and
changes three settings while the server runs, which otherwise would need a restart each.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import waitress
from sqlalchemy import event
from sqlalchemy.engine import Engine

#: What begins a transaction; DEFERRED gives real 500s once two want to write.
_wishes: dict[str, Any] = {"begin": "IMMEDIATE"}
_seen: Counter[str] = Counter()


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def _began(*told: Any) -> tuple[str, Any]:
    # oslo.db writes a plain BEGIN: two that read first and write then would fail, not wait.
    statement, parameters = told[2:4]
    return (f"BEGIN {_wishes['begin']}" if statement == "BEGIN" else statement), parameters


def _change(conf: Any, wishes: dict[str, Any]) -> None:
    _wishes.update(wishes)
    if "token_seconds" in wishes:
        conf.set_override("expiration", wishes["token_seconds"], "token")
    if "page" in wishes:
        conf.set_override("api_limit_max", wishes["page"])
    if wishes.get("forget"):
        _seen.clear()


def watched(application: Callable[..., Iterable[bytes]], conf: Any) -> Callable[..., Any]:
    """Return the application with our address in front."""

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/realcloud":
            length = int(environ.get("CONTENT_LENGTH") or 0)
            if length:
                _change(conf, json.loads(environ["wsgi.input"].read(length)))
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(_seen).encode()]

        def answered(status: str, headers: list[Any], *rest: Any) -> Any:
            what = f"{environ['REQUEST_METHOD']} {status[:3]}"
            agent = environ.get("HTTP_USER_AGENT", "").partition("/")[0]
            _seen.update((what, f"{agent} {what}"))
            return start_response(status, headers, *rest)

        return application(environ, answered)

    return serve


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main(which: str, listening: str, threads: str) -> None:
    """Serve until standard input ends."""
    sys.argv = [which]  # Keystone reads the command line when it is loaded.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    application = importlib.import_module(f"{which}.wsgi.api").application
    conf = importlib.import_module(f"{which}.conf" if which == "keystone" else "oslo_config.cfg")
    server = waitress.create_server(
        watched(application, conf.CONF),
        sockets=[socket.socket(fileno=int(listening))],
        threads=int(threads),
    )
    server.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
