"""A cloud to rehearse on: identity, image, IMS and vault services, with faults on demand.

A real HTTP server on loopback, in a process of its own. It never imports the rest of the
library, so that both can be wrong independently. A sample cloud with its workbook is in
:mod:`sharekit.simulator.sample`.

Examples
--------
>>> from sharekit.simulator import Project, Seed, User, start
>>> seed = Seed(projects=(Project("a" * 32, "one"),), users=(User("u1", "ada", "secret"),))
>>> with start(seed) as simulator:
...     simulator.state()["jobs"]
0
"""

from .faults import Faults
from .process import Simulator, clouds_yaml, start
from .seed import Image, Key, Project, Seed, Settings, Share, User, Vault

__all__ = [
    "Faults",
    "Image",
    "Key",
    "Project",
    "Seed",
    "Settings",
    "Share",
    "Simulator",
    "User",
    "Vault",
    "clouds_yaml",
    "start",
]
