"""Many reading requests side by side, and what snapshot and survey have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from sharekit.clouds.cloud import Cloud, ImageShare, Member
from sharekit.core.errors import CloudError, CloudRefusedError

#: Images of one project that no listing shows and that are looked up one by one, two requests
#: each; of a project that lacks more, the rest counts as absent.
SINGLE_LOOKUPS: Final = 200
#: Reading requests at the same time.
READERS: Final = 16

#: Called with a label, and the numbers of finished and of all requests.
Progress = Callable[[str, int, int], None]
T = TypeVar("T")


@dataclass
class Reader:
    """Requests to several projects side by side.

    With ``failures`` (project -> its error), the first error of a project ends the requests to
    that project alone; without, it is raised.
    """

    pool: Executor
    progress: Progress | None = None
    failures: dict[str, CloudError] | None = None

    def run(
        self, label: str, calls: Iterable[tuple[str, str, Callable[[str], T]]]
    ) -> Iterator[tuple[str, str, T]]:
        """Yield project, item and result of each ``(project, item, call)``, in any order."""
        jobs = {
            self.pool.submit(self._call, project, item, call): (project, item)
            for project, item, call in calls
        }
        for done, job in enumerate(as_completed(jobs), 1):
            for result in job.result():
                yield (*jobs[job], result)
            if self.progress:
                self.progress(label, done, len(jobs))

    def look_up(
        self, label: str, clouds: Mapping[str, Cloud], images: Mapping[str, Iterable[str]]
    ) -> Iterator[tuple[str, str, ImageShare]]:
        """Look the images of each project up one by one, at most :data:`SINGLE_LOOKUPS` of each."""
        limited = {project: sorted({*ids})[:SINGLE_LOOKUPS] for project, ids in images.items()}
        return self.run(label, ((p, i, clouds[p].share) for p, ids in limited.items() for i in ids))

    def list_members(
        self, label: str, clouds: Mapping[str, Cloud], images: Mapping[str, Iterable[str]]
    ) -> Iterator[tuple[str, str, list[Member]]]:
        """List the members of the images of each project."""
        calls = ((p, i, partial(members_of, clouds[p])) for p, ids in images.items() for i in ids)
        return self.run(label, calls)

    def _call(self, project: str, item: str, call: Callable[[str], T]) -> list[T]:
        if self.failures is None:
            return [call(item)]
        if project in self.failures:
            return []
        try:
            return [call(item)]
        except CloudError as error:
            self.failures.setdefault(project, error)
            return []


def members_of(cloud: Cloud, image_id: str) -> list[Member]:
    """List the projects that an image is shared with, as far as ``cloud`` sees them.

    An image that is gone or public has none.
    """
    try:
        return cloud.members(image_id)
    except CloudRefusedError as refusal:
        if refusal.http not in (403, 404):
            raise
        return []


def share_record(project: str, share: ImageShare) -> tuple[str, str, str, str, str, str]:
    """Return ``project_id, image_id, state, owner, name, whole_image`` of a frame."""
    whole = "" if share.whole_image is None else str(share.whole_image).lower()
    return project, share.image_id, share.state, share.owner, share.name, whole
