"""``python -m sharekit.simulator``: serve until told to stop, or until the parent is gone."""

from __future__ import annotations

import argparse
import gc
import json
import signal
import sys
import threading
from collections.abc import Sequence

from werkzeug.serving import BaseWSGIServer

from sharekit.core.errors import InputError

from .faults import Faults
from .seed import Seed
from .server import make_http_server


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve; prints one line of JSON with the ``url`` once it listens. Returns the exit code."""
    options = _parser().parse_args(arguments)
    piped = options.seed == "-"
    try:
        text = sys.stdin.buffer.readline() if piped else b""
        seed = Seed.from_json(text) if piped else Seed.from_file(options.seed)
        server = make_http_server(seed, Faults.parse(options.faults), port=options.port)
    except InputError as error:
        if piped:
            print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201 - for the parent
        else:
            sys.stderr.write(f"{error}\n")
        return error.exit_code
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _end(server))
    if piped:
        threading.Thread(target=_until_eof, args=(server,), daemon=True).start()
    # The seed lives as long as the process; scanning it again and again would stall requests.
    gc.freeze()
    print(json.dumps({"url": f"http://127.0.0.1:{server.port}"}), flush=True)  # noqa: T201
    server.serve_forever(poll_interval=0.05)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sharekit.simulator", description=__doc__)
    parser.add_argument(
        "--seed",
        required=True,
        help="a seed file (JSON); - reads one line from stdin and ends when stdin is closed",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port (default)")
    parser.add_argument("--faults", default="", help="key=value,key=value, as in p503=0.1")
    return parser


def _until_eof(server: BaseWSGIServer) -> None:
    sys.stdin.buffer.read()
    server.shutdown()


def _end(server: BaseWSGIServer) -> None:
    # shutdown() waits for the serving loop, which this signal has interrupted: so not from here.
    threading.Thread(target=server.shutdown, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
