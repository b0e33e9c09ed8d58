"""Check a ledger of sharekit: its file, chain of hashes, blobs, approvals and order of events.

`python check_ledger.py run.ledger` prints the head, or what was changed. It needs only Python.
"""

import hashlib
import json
import sqlite3
import sys
from contextlib import closing

VOIDING_EVENTS = {"planned", "decided", "decision_undone", "approval_revoked"}
ANY_POLICY = {"policies_sha256": None, "until": "9999-12-31", "max_images": 1 << 53}
PRAGMAS = {"integrity_check": "ok", "application_id": 0x53484B54, "user_version": 2}
SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"


def check(good, problem):
    """Stop at the first problem."""
    if not good:
        sys.exit(f"TAMPERED: {problem}")


def read_events(ledger):
    """Return seq, at, kind, body, prev of each event, and the last hash: prev is that before."""
    events, head = [], "0" * 64
    for seq, at, kind, body, prev, link in ledger.execute("SELECT * FROM events ORDER BY seq"):
        text = "\n".join((str(seq), at, kind, body, prev)).encode("utf-8", "surrogatepass")
        check(seq == len(events) + 1 and prev == head, f"event {seq} does not follow on")
        head = hashlib.sha256(text).hexdigest()
        check(head == link, f"event {seq} was changed")
        events.append((seq, at, kind, json.loads(body), prev))
    return events, head


def check_beginning(ledger, events):
    """The first event holds the SHA-256 of the definitions; nothing begins a second time."""
    text = json.dumps(ledger.execute(SCHEMA).fetchall(), separators=(",", ":"), ensure_ascii=False)
    began = events and events[0][2] == "created" and events[0][3]["schema"]
    check(began == hashlib.sha256(text.encode()).hexdigest(), "the beginning, a table or trigger")
    once = [event[2] for event in events if event[2] in ("created", "inventory_read", "sealed")]
    check(len(set(once)) == len(once), "it begins, or is sealed, a second time")


def check_blobs(ledger, events):
    """Each blob is named by its SHA-256; events name every blob, and there are no others."""
    named = {body[field] for *_, body, _ in events for field in body if field.endswith("blob")}
    blobs = ledger.execute("SELECT * FROM blobs").fetchall()
    check(named == {name for name, *_ in blobs}, "a blob is missing, or no event names it")
    for name, media_type, content in blobs:
        check(hashlib.sha256(content).hexdigest() == name, f"the blob {name} was changed")
        check(media_type == "application/vnd.apache.parquet", f"the type of the blob {name}")


def check_approvals(events):
    """What is sent is the plan approved last, or ahead by its policies; then nothing changes it."""
    approvals, policies, plan, began, sent = [], set(), {}, "", False
    for seq, at, kind, body, _ in events:
        approvals = [] if kind in VOIDING_EVENTS else approvals
        check(not sent or kind not in VOIDING_EVENTS, f"event {seq} changes what was sent")
        approvals += [body | ANY_POLICY | body.get("standing", {})] if kind == "approved" else []
        policies.add(body.get("policies_sha256"))
        plan, began = body if kind == "planned" else plan, at if kind == "submit_started" else began
        sent = sent or kind == "intent"
        good = [one for one in approvals if one["fingerprint"] == plan.get("fingerprint")
                and one["policies_sha256"] in policies and one["until"] >= began[:10]
                and one["max_images"] >= plan["planned"]]  # fmt: skip
        check(kind != "intent" or good, f"event {seq} was not approved")


def check_end(events):
    """A run is finished when each row has its outcome; then only the seal of its head follows."""
    ended, counts, left, stopped, last = False, {}, [1], False, ""
    for seq, _, kind, body, prev in events:
        check(kind != "sealed" or (ended and body["head"] == prev), f"event {seq} is a false seal")
        check(kind == "sealed" or not ended, f"event {seq} comes after the end")
        if kind == "outcomes_recorded":
            counts, stopped = body["counts"], last == "stopped"
            left = [counts.get(name, 0) for name in ("pending", "unknown", "contradicted")]
        whole = last == "outcomes_recorded" and sum(counts.values()) == body.get("rows")
        check(kind != "finished" or (whole and not any(left[:2])), f"event {seq} is too early")
        ended, last = ended or kind in ("finished", "audit_recorded", "fleet_finished"), kind
    check(ended or any(left) or stopped, "the end was cut off")


def main(path):
    """Check everything, and return the verdict."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
        for pragma, value in PRAGMAS.items():
            check(ledger.execute(f"PRAGMA {pragma}").fetchall() == [(value,)], f"the {pragma}")
        events, head = read_events(ledger)
        check_beginning(ledger, events)
        check_blobs(ledger, events)
        check_approvals(events)
        check_end(events)
    return f"intact: {len(events)} events, head {head}"


if __name__ == "__main__":
    print(main(sys.argv[1]))
