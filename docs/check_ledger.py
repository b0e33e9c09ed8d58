"""Check a ledger of sharekit: its file, chain of hashes, blobs, approvals and order of events.

`python check_ledger.py run.ledger` prints the head, or what was changed. It needs only Python.
"""

import hashlib
import json
import sqlite3
import sys

BLOB_FIELDS = set("blob rows_blob cell_issues_blob findings_blob earlier_blob".split())
BLOB_FIELDS |= set("members_blob vaults_blob projects_blob owned_blob".split())
VOIDING_EVENTS = {"planned", "decided", "decision_undone", "approval_revoked"}
PRAGMAS = {"integrity_check": "ok", "application_id": 0x53484B54, "user_version": 2}
DEFINITIONS = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"


def check(good, problem):
    """Stop at the first problem."""
    if not good:
        sys.exit(f"TAMPERED: {problem}")


def read_events(ledger):
    """Return seq, kind, body and prev of each event, and the last hash: prev is the one before."""
    events, head = [], "0" * 64
    for seq, at, kind, body, prev, link in ledger.execute("SELECT * FROM events ORDER BY seq"):
        text = "\n".join((str(seq), at, kind, body, prev)).encode("utf-8", "surrogatepass")
        check(seq == len(events) + 1 and prev == head, f"event {seq} does not follow on")
        head = hashlib.sha256(text).hexdigest()
        check(head == link, f"event {seq} was changed")
        events.append((seq, kind, json.loads(body), prev))
    return events, head


def check_beginning(ledger, events):
    """The first event holds the SHA-256 of the definitions; nothing begins a second time."""
    schema = ledger.execute(DEFINITIONS).fetchall()
    text = json.dumps(schema, separators=(",", ":"), ensure_ascii=False).encode()
    began = events and events[0][1] == "created" and events[0][2]["schema"]
    check(began == hashlib.sha256(text).hexdigest(), "the beginning, the tables or triggers")
    for kind in ("created", "inventory_read"):
        check([event[1] for event in events].count(kind) < 2, f"{kind} comes a second time")


def check_blobs(ledger, events):
    """Each blob is named by its SHA-256; events name every blob, and there are no others."""
    named = {body[field] for _, _, body, _ in events for field in BLOB_FIELDS & body.keys()}
    for name, media_type, content in ledger.execute("SELECT * FROM blobs"):
        check(name in named, f"no event names the blob {name}")
        check(hashlib.sha256(content).hexdigest() == name, f"the blob {name} was changed")
        check(media_type == "application/vnd.apache.parquet", f"the type of the blob {name}")
        named.discard(name)
    check(not named, f"blobs are missing: {named}")


def check_approvals(events):
    """What is sent is the plan that was approved last, and nothing changes it afterwards."""
    approved, planned, sent = None, "", False
    for seq, kind, body, _ in events:
        if kind in VOIDING_EVENTS:
            check(not sent, f"event {seq} changes the plan after a request was sent")
            approved = None
        planned = body["fingerprint"] if kind == "planned" else planned
        approved = body["fingerprint"] if kind == "approved" else approved
        sent = sent or kind == "intent"
        check(kind != "intent" or approved == planned, f"event {seq} was not approved")


def check_end(events):
    """A run is finished when each row has its outcome; then only the seal of its head follows."""
    ended, counts, open_rows, stopped, last = False, {}, 1, False, ""
    for seq, kind, body, prev in events:
        check(kind != "sealed" or body["head"] == prev, f"event {seq} is the seal of another head")
        check(kind == "sealed" or not ended, f"event {seq} comes after the end")
        if kind == "outcomes_recorded":
            counts, stopped = body["counts"], last == "stopped"
            open_rows = counts.get("pending", 0) + counts.get("unknown", 0)
        if kind == "finished":
            complete = last == "outcomes_recorded" and sum(counts.values()) == body["rows"]
            check(complete and not open_rows, f"event {seq} comes before the end")
        ended, last = ended or kind in ("finished", "audit_recorded"), kind
    check(ended or open_rows or stopped, "the end was cut off")


def main(path):
    """Check everything, and return the verdict."""
    ledger = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
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
