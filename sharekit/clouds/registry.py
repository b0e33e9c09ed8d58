"""The clouds of a run by project; projects that an account offers are signed in to when needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from re import fullmatch
from typing import Final

from sharekit.core.brakes import Pool
from sharekit.core.columns import list_some, with_unit
from sharekit.core.errors import CloudError, not_made_by
from sharekit.core.fields import PROJECT_ID
from sharekit.core.frame_schemas import NAMED_BY
from sharekit.core.html import escape_html, without_mathjax
from sharekit.core.monitoring.logs import clean_frames

from .cloud import Cloud

#: What tells a project's name.
SIGN_IN, CLOUDS_YAML, ENTRY = NAMED_BY
#: Projects that are signed in to at the same time.
_SIGN_INS: Final = 8


class Clouds(Mapping[str, Cloud]):
    """The clouds of a run, by project ID: ``clouds[project_id]``.

    An account with several projects offers all of them, and only looking one up signs in to it;
    going through :meth:`values` or :meth:`items` signs in to every one.

    Parameters
    ----------
    clouds : mapping
        Projects that are signed in to.
    offers : mapping, optional
        Further project IDs, each with the function that signs in to it.
    warnings : mapping, optional
        Names of entries in ``clouds.yaml``, each with what is less safe there than it should be.
    refused : mapping, optional
        Projects that nobody can sign in to, each with the error that looking it up raises. An entry
        that names no project stands there by its own name.
    names : mapping, optional
        Projects that need not be signed in to, each with its name and what told it.
    operator : Cloud, optional
        The client of an administrator, which acts for every project that is not among the others.

    Examples
    --------
    >>> clouds = Clouds({}, {"p": lambda: connect("otc")["p"]})
    >>> "p" in clouds, len(clouds), clouds
    (True, 1, <Clouds: 1 project not signed in to yet>)
    """

    def __init__(
        self,
        clouds: Mapping[str, Cloud],
        offers: Mapping[str, Callable[[], Cloud]] | None = None,
        warnings: Mapping[str, tuple[str, ...]] | None = None,
        refused: Mapping[str, CloudError] | None = None,
        names: Mapping[str, tuple[str, str]] | None = None,
        operator: Cloud | None = None,
    ) -> None:
        if not isinstance(clouds, Mapping):
            raise not_made_by(clouds, "Clouds", "sharekit.connect(NAME) makes them")
        self._clouds = dict(clouds)
        self._offers = {p: sign_in for p, sign_in in (offers or {}).items() if p not in clouds}
        self._locks = {project: threading.Lock() for project in self._offers}
        self.warnings = dict(warnings or {})
        self._names, self._operator = dict(names or {}), operator
        self.refused = {
            p: error
            for p, error in (refused or {}).items()
            if p not in (*self._clouds, *self._offers)
        }

    @clean_frames
    def __getitem__(self, project_id: str) -> Cloud:
        cloud = self._clouds.get(project_id)
        if cloud is not None:
            return cloud
        if project_id in self.refused:
            raise self.refused[project_id]
        if self._operator is not None and project_id not in self._offers:
            if not fullmatch(PROJECT_ID, project_id):
                raise KeyError(project_id)
            return self._clouds.setdefault(project_id, self._operator.acting_for(project_id))
        sign_in = self._offers[project_id]
        with self._locks[project_id]:
            if project_id not in self._clouds:
                self._clouds[project_id] = sign_in()
        return self._clouds[project_id]

    def __contains__(self, project_id: object) -> bool:
        known = (self._clouds, self._offers, self.refused)
        if any(project_id in projects for projects in known):
            return True
        return self._operator is not None and bool(fullmatch(PROJECT_ID, str(project_id)))

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys([*self._clouds, *self._offers, *self.refused])

    def __len__(self) -> int:
        return len(self._clouds.keys() | self._offers.keys() | self.refused.keys())

    @property
    def signed_in(self) -> list[Cloud]:
        """The clouds that are signed in to."""
        return list(self._clouds.values())

    def project_name(self, project_id: str) -> tuple[str, str]:
        """Return a project's name, and what told it.

        Returns
        -------
        tuple of str
            The name, and one of :data:`NAMED_BY`; both ``""`` if nothing tells it.
        """
        cloud = self._clouds.get(project_id)
        if cloud is not None and cloud.project_name:
            return cloud.project_name, cloud.named_by
        return self._names.get(project_id, ("", ""))

    @clean_frames
    def restricted_to(self, projects: Iterable[str]) -> Clouds:
        """Sign in to ``projects``, and offer no others.

        A project that cannot be signed in to is among the ``refused`` of the result, and so is one
        that may be that of a refused entry which names no project.

        Returns
        -------
        Clouds
            Those that are signed in to, and nothing else.
        """
        wanted = list(dict.fromkeys(projects))
        known = [project for project in wanted if project in self]
        with Pool(_SIGN_INS) as pool:
            jobs = {pool.submit(self._try_to_sign_in, project): project for project in known}
            found = {jobs[job]: job.result() for job in pool.finished(jobs)}
        refused = {project: error for project in known if (error := found[project]) is not None}
        unnamed = [why for name, why in self.refused.items() if not fullmatch(PROJECT_ID, name)]
        if unnamed:
            refused |= {project: unnamed[0] for project in wanted if project not in self}
        return Clouds(self._clouds, None, self.warnings, refused, self._names)

    def anew(self) -> Clouds:
        """Return the same clouds; what one of the two signs in to later, the other one does not.

        Returns
        -------
        Clouds
            With the sign-ins that there are now.
        """
        return Clouds(
            self._clouds, self._offers, self.warnings, self.refused, self._names, self._operator
        )

    def _try_to_sign_in(self, project: str) -> CloudError | None:
        """Return why a project cannot be signed in to; None if it can."""
        try:
            self[project]
        except CloudError as error:
            return error
        return None

    def __repr__(self) -> str:
        names = list_some([f"{one.name} ({one.project_id})" for one in self._clouds.values()])
        waiting = len(self) - len(self._clouds)
        rest = f"{with_unit(waiting, 'project')} not signed in to yet" if waiting else ""
        return f"<Clouds: {', '.join(filter(None, (names, rest))) or 'none'}>"

    def _repr_html_(self) -> str:
        entries = {project: cloud.name for project, cloud in self._clouds.items()}
        lines = (
            f"{entries.get(p, 'not signed in to yet')}: {self.project_name(p)[0]} {p}".replace(
                ":  ", ": "
            )
            for p in self
        )
        items = "".join(f"<li>{escape_html(line)}</li>" for line in lines)
        title = with_unit(len(self), "project")
        return without_mathjax(f"<p><b>{title}</b></p><ul>{items}</ul>")
