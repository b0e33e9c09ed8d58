"""Limits, page sizes and job words of the APIs, and the defaults chosen from them.

Sources: ``IMS-members``, ``IMS-sharing`` (see :mod:`sharekit.core.actions`); ``IMS-job`` is the
same API, *Asynchronous Job Query*; ``CBR-vaults`` is Cloud Backup and Recovery API, *Querying the
Vault List*; ``CBR-limits`` the same service, *Constraints*; ``IMS-guide`` is Image Management
Service, *User Guide*; ``observed`` was seen on a running Keystone 30 and Glance 33.
"""

from __future__ import annotations

from typing import Final

#: CBR-vaults: what a vault must be to take a full-ECS image.
VAULT_OBJECT_TYPE, VAULT_PROTECT_TYPE, VAULT_STATUS = "server", "backup", "available"
#: CBR-limits: a vault has at most this many resources (servers that it protects).
VAULT_RESOURCES: Final = 256
# What is compared with a vault's free room (``size`` in GB less ``used`` in MB, CBR-vaults).
# IMS-guide: the vault must hold the backups of the system disk and of all data disks; but images
# are listed with their system disk alone (``min_disk``, GB), so this is the least they can need.

#: IMS-job prints SUCCESS and FAIL; IMS-members speaks of "success" and "failed". Compare lowered.
JOB_DONE: Final = frozenset({"success", "succeeded", "finished"})
JOB_FAILED: Final = frozenset({"fail", "failed", "error"})
#: IMS-members documents no maximum, so the default chunk is small and a setting.
CHUNK_SIZE: Final = 50
#: IMS-sharing: an image reaches at most so many projects, a full-ECS image fewer.
MAX_PROJECTS, MAX_PROJECTS_FULL_ECS = 256, 10
#: Listings: IMS answers at most this many images a page by default.
PAGE_SIZE: Final = 500
#: CBR-vaults: the largest page.
VAULT_PAGE_SIZE: Final = 1000
#: A token is renewed so long before its end (keystoneauth1's own default).
TOKEN_MARGIN_SECONDS: Final = 120.0
#: How long to wait before each new sign-in when a token is refused; after the last one it is over.
#: Keystone revokes by whole seconds: a token made in the same second is refused too (observed).
SIGN_IN_WAITS: Final = (0.0, 1.1, 2.2)
#: IMS-job: update jobs were sampled at 0.6 to 0.9 seconds.
MIN_POLL_SECONDS: Final = 1.0
MAX_POLL_SECONDS: Final = 10.0
