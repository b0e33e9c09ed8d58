"""The process that :func:`sharekit.simulator.start` starts: it serves until its parent is gone.

``python -m sharekit.simulator PORT FAULTS`` reads the seed from the first line of stdin and ends
when stdin is closed. People start a simulated cloud with ``sharekit simulator``.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading

from werkzeug.serving import BaseWSGIServer

from sharekit.core.errors import InputError

from .faults import Faults
from .seed import Seed
from .server import make_http_server


def main(port: str, faults: str) -> int:
    """Serve, and print one line of JSON with the ``url`` or the ``error``; return the exit code."""
    try:
        seed = Seed.from_json(sys.stdin.buffer.readline())
        server = make_http_server(seed, Faults.parse(faults), port=int(port))
    except InputError as error:
        print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201 - for the parent
        return error.exit_code
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _end(server))
    threading.Thread(target=_until_eof, args=(server,), daemon=True).start()
    # The seed lives as long as the process; scanning it again and again would stall requests.
    gc.freeze()
    print(json.dumps({"url": f"http://127.0.0.1:{server.port}"}), flush=True)  # noqa: T201
    server.serve_forever(poll_interval=0.05)
    return 0


def _until_eof(server: BaseWSGIServer) -> None:
    # Not by the buffer of sys.stdin: Python aborts where a thread holds its lock at the end.
    while os.read(sys.stdin.fileno(), 65_536):
        pass
    server.shutdown()


def _end(server: BaseWSGIServer) -> None:
    # shutdown() waits for the serving loop, which this signal has interrupted: so not from here.
    threading.Thread(target=server.shutdown, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
