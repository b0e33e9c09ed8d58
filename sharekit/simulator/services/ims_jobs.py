"""The two ways to ask about a job (IMS-job): one knows every image, the other a percentage."""

from __future__ import annotations

import time
from typing import Any

from sharekit.core.cloud_api import MEANINGS
from sharekit.simulator.request import RequestContext
from sharekit.simulator.responses import Response, ims_error, json_response
from sharekit.simulator.state import Job, api_time

#: The share of a job's time that it spends in INIT.
_INIT = 0.2


def with_results(context: RequestContext, project_id: str, job_id: str) -> Response:
    """``GET /v1/{project_id}/jobs/{job_id}``: with ``entities.results`` once it has ended."""
    if not context.state.settings.results_api:
        raise ims_error(404, "", "The requested resource was not found.")
    if project_id != context.caller.project_id:
        raise ims_error(400, "IMG.0108", "The project in the URL is not that of the token.")
    job = _find(context, job_id)
    shown = None if job.results_hidden else job.results
    return json_response(
        _job(job) | {"entities": {} if job.results is None else {"results": shown or []}}
    )


def with_progress(context: RequestContext, job_id: str) -> Response:
    """``GET /v1/cloudimages/job/{job_id}``: with ``process_percent``, never with results."""
    if not context.state.settings.progress_api:
        raise ims_error(404, "", "The requested resource was not found.")
    job = _find(context, job_id)
    entities = {"current_task": "update_image_member", "process_percent": _progress(job) * 100}
    return json_response(_job(job) | {"entities": entities})


def _find(context: RequestContext, job_id: str) -> Job:
    job = context.state.jobs.by_id.get(job_id)
    if job is None or job.owner != context.caller.project_id:
        raise ims_error(404, "IMG.0001", f"The job {job_id} cannot be found.")
    return job


def _progress(job: Job) -> float:
    if job.results is not None or not job.seconds:
        return 1.0
    done = 1.0 - (job.due - time.monotonic()) / job.seconds
    return min(max(done, 0.0), 0.99)


def _job(job: Job) -> dict[str, Any]:
    status = "INIT" if _progress(job) < _INIT else "RUNNING"
    if job.results is not None:
        status = "FAIL" if job.failed else "SUCCESS"
    code = job.errors[0] if status == "FAIL" else None
    return {
        "status": status,
        "job_id": job.id,
        "job_type": job.kind,
        "begin_time": api_time(job.begin, digits=6),
        "end_time": "" if job.results is None else api_time(job.end, digits=6),
        "error_code": code,
        "fail_reason": None if code is None else f"{code}: {MEANINGS.get(code, 'failed')}.",
    }
