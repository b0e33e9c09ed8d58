"""The clouds of a run by project; projects that an account offers are signed in to when needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from sharekit.core.brakes import Pool
from sharekit.core.columns import with_unit
from sharekit.core.html import escape_html, without_mathjax
from sharekit.core.logs import clean_frames

from .cloud import Cloud

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

    Examples
    --------
    >>> clouds = Clouds({}, {"p": lambda: None})
    >>> "p" in clouds, len(clouds), clouds
    (True, 1, Clouds(1 project not signed in to yet))
    """

    def __init__(
        self,
        clouds: Mapping[str, Cloud],
        offers: Mapping[str, Callable[[], Cloud]] | None = None,
        warnings: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._clouds = dict(clouds)
        self._offers = {p: sign_in for p, sign_in in (offers or {}).items() if p not in clouds}
        self._locks = {project: threading.Lock() for project in self._offers}
        self.warnings = dict(warnings or {})

    @clean_frames
    def __getitem__(self, project_id: str) -> Cloud:
        cloud = self._clouds.get(project_id)
        if cloud is not None:
            return cloud
        sign_in = self._offers[project_id]
        with self._locks[project_id]:
            if project_id not in self._clouds:
                self._clouds[project_id] = sign_in()
        return self._clouds[project_id]

    def __contains__(self, project_id: object) -> bool:
        return project_id in self._clouds or project_id in self._offers

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys([*self._clouds, *self._offers])

    def __len__(self) -> int:
        return len(self._clouds.keys() | self._offers.keys())

    @clean_frames
    def restricted_to(self, projects: Iterable[str]) -> Clouds:
        """Return the clouds that are signed in to; sign in to ``projects``, offer no others.

        Raises
        ------
        CloudError
            If the sign-in to one of them fails.
        """
        offered = [p for p in dict.fromkeys(projects) if p in self._offers]
        with Pool(_SIGN_INS) as pool:
            list(pool.map(self.__getitem__, offered))
        return Clouds(self._clouds, warnings=self.warnings)

    def __repr__(self) -> str:
        names = [f"{cloud.name} ({cloud.project_id})" for cloud in self._clouds.values()]
        if waiting := len(self) - len(self._clouds):
            names.append(f"{waiting} project{'s'[: waiting > 1]} not signed in to yet")
        return f"Clouds({', '.join(names)})"

    def _repr_html_(self) -> str:
        names = {project: cloud.name for project, cloud in self._clouds.items()}
        lines = (f"{names.get(project, 'not signed in to yet')}: {project}" for project in self)
        items = "".join(f"<li>{escape_html(line)}</li>" for line in lines)
        title = with_unit(len(self), "project")
        return without_mathjax(f"<p><b>{title}</b></p><ul>{items}</ul>")
