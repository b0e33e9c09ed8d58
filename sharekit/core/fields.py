"""Fields of a share as spreadsheets give them, and the grammars of IDs.

Sources: ``IMS-members`` is Open Telekom Cloud, Image Management Service API, *Updating the Status
of Image Members in Batches* (``PUT /v1/cloudimages/members``); ``Glance`` is OpenStack Image API
v2, *Sharing*; ``observed`` was seen on a running Keystone 30 and Glance 33. A grammar is used with
``fullmatch``, which anchors it on both ends.
"""

from __future__ import annotations

from typing import Final

#: Every field a row can have, in the order people expect to read them.
FIELDS: Final = (
    "image_id",
    "project_id",
    "status",
    "vault_id",
    "whole_image",
    "region",
    "name",
    "owner",
)
#: The fields that identify a share: the project it is for, and the image.
SHARE_KEY: Final = ["project_id", "image_id"]
#: The fields that identify an action on a share, or a view of it; ``side`` is whose it is.
ACTION_KEY: Final = [*SHARE_KEY, "side"]
#: The same within a run, where the row tells the share.
ROW_ACTION: Final = ["row_key", "side"]
#: Fields whose cells must be text: a number there means that Excel has changed an ID.
ID_FIELDS: Final = ("image_id", "project_id", "vault_id")
#: Fields a row cannot do without (IMS-members: ``images``, ``project_id``, ``status``).
MANDATORY_FIELDS: Final = ("image_id", "project_id", "status")
#: IMS-members, Glance: a UUID, lower case. Glance answers 404 for any other spelling (observed).
UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
UUID_LENGTH: Final = 36
#: IMS-members: a project is 32 hex digits without dashes.
PROJECT_ID: Final = r"[0-9a-f]{32}"
#: The API's own samples of a vault have this shape without being hexadecimal.
VAULT_SHAPE: Final = r"[0-9a-z]{8}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{12}"
GRAMMARS: Final = {"image_id": UUID, "project_id": PROJECT_ID, "vault_id": UUID}
#: What images and projects are called and who owns the images, each followed by what told it.
PROJECT_NAMES: Final = ("project_name", "project_name_source")
NAMES: Final = ("name", "name_source", "owner", "owner_source", *PROJECT_NAMES)
#: Prefix of the columns that hold the input's own cells, as in ``input.Owner``.
INPUT_PREFIX: Final = "input."
#: The column of an audit's listing that shows the state of each share, beside its decision.
STATE_COLUMN: Final = "seen as"
