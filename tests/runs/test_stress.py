"""Ten thousand rows, 3 % of them faulty, and every fault of the cloud switched on at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

import sharekit
from sharekit.simulator.faults import Faults
from tests.conftest import FAST, World

EVERYTHING = (
    "p503=0.1,p500=0.02,p429=0.02,flow_control=0.1,cut_before=0.04,cut_after=0.04,garbage=0.02,"
    "job_fail=0.02,job_partial=0.02,no_results=0.2,false_success=0.02,token_lifetime=5"
)


@pytest.mark.slow
def test_every_fault_at_once(world: Callable[..., World]) -> None:
    """Each row has exactly one outcome, and the cloud's own state agrees with every one of them."""
    w = world(rows=10_000, faulty=0.03)
    plan = w.approved()
    before = w.shown()
    w.cloud.set_faults(Faults.parse(EVERYTHING))
    patient = replace(FAST, attempts=20, resend_rounds=12, max_failure_rate=1.0)
    run = sharekit.submit(plan, w.connect(), settings=patient)
    w.cloud.set_faults(Faults())
    if run.counts["contradicted"]:  # what is contradicted is looked at once more
        run = sharekit.submit(plan, w.connect(), settings=patient)
    rows = pd.concat([run.plan.rows.drop(columns="before"), run.rows], axis="columns")
    assert run.finished
    assert len(rows) == len(w.sample.sheet) == sum(run.counts.values())
    assert rows["outcome"].isin(list(sharekit.core.outcomes.OUTCOMES)).all()

    shown, changes = w.shown(), w.changed()
    share = list(zip(rows["image_id"], rows["project_id"], strict=True))
    now = pd.Series([shown.get(key, "absent") for key in share], index=rows.index)
    was = pd.Series([before.get(key, "absent") for key in share], index=rows.index)
    wanted = now == rows["status"]
    outcome = rows["outcome"]
    assert wanted[outcome.isin(["confirmed", "already"])].all()
    assert not wanted[outcome == "failed"].any()
    # Either the cloud denied what it did, or it claimed what it did not do.
    denied = (outcome == "contradicted") & (rows["claimed"] == "failed")
    assert wanted[denied].all()
    assert not wanted[(outcome == "contradicted") & ~denied].any()
    untouched = outcome.isin(["blocked", "already", "skipped", "pending"])
    assert (now == was)[untouched].all()

    changed = {key for key, times in changes.items() if times}
    said = {key for key, o in zip(share, outcome, strict=True) if o == "confirmed"}
    said |= {key for key, yes in zip(share, denied, strict=True) if yes}
    assert changed == said, "the report and the simulator disagree on what was changed"
    assert max(changes.values()) == 1, "something was sent twice with effect"
    assert run.requests["retried"] > 0
    assert sharekit.verify(run.path).intact
