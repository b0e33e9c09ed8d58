"""The validator of answers and events, in a process in which it has seen nothing yet."""

from __future__ import annotations

import subprocess
import sys

RACE = """
import sys, threading
sys.setswitchinterval(1e-6)
from sharekit.clouds import responses
from sharekit.ledger import events
begin = threading.Barrier(12)

def go():
    begin.wait()
    for kind, body in (
        (responses.Page, {"images": [{"id": "x"}]}),
        (responses.Job, {"status": "x", "entities": {"results": [{"image_id": "q"}]}}),
        (responses.Vaults, {"vaults": [{"id": "x", "billing": {"size": 1}}]}),
        (responses.Members, {"members": [{"member_id": "x", "status": "y"}]}),
    ):
        responses.validated(body, kind, "u")
    events.decode_body("stopped", "2026-01-01T00:00:00Z", '{"why": "x"}')

threads = [threading.Thread(target=go) for _ in range(12)]
for one in threads:
    one.start()
for one in threads:
    one.join()
"""


def test_first_answers_of_several_threads_at_once() -> None:
    """Threads that all meet their first answers and events at the same time do not crash."""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", RACE], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert b"Error" not in done.stderr
