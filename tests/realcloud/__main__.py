"""``make openstack``: a Keystone and a Glance for a person to try things on, until Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from . import RealCloud, UnavailableError, start

_PENDING, _HIDDEN, _WITHDRAWN = 12, 1, 1


def seed(cloud: RealCloud, folder: Path) -> None:
    """Make an owner, two projects and some shares; write ``clouds.yaml`` and ``shares.csv``."""
    owner, payments, web = (cloud.account() for _ in range(3))
    with cloud.connection(owner) as hers:
        images = cloud.share(hers, _PENDING, payments, web)
        images += cloud.share(hers, _HIDDEN, payments, web, hidden=True)
        images += cloud.share(hers, _WITHDRAWN)
    folder.mkdir(exist_ok=True)
    lines = [
        f"{image},{account.project_id},{status}"
        for account, status in ((payments, "accept"), (web, "reject"))
        for image in images
    ]
    table = "\n".join(["image_id,project_id,status", *lines, ""])
    (folder / "shares.csv").write_text(table, encoding="utf-8")
    config = folder / "clouds.yaml"
    config.touch(mode=0o600)
    config.write_text(cloud.clouds_yaml(payments=payments, web=web, owner=owner), encoding="utf-8")


def main(directory: str = "openstack-run") -> None:
    """Serve until interrupted."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    folder = Path(directory)
    print("installing (once, a minute) and starting Keystone and Glance …", flush=True)  # noqa: T201
    try:
        with start() as cloud:
            seed(cloud, folder)
            print(  # noqa: T201
                f"Keystone {cloud.auth_url}, Glance {cloud.image_url}, until Ctrl-C. "
                f"In another shell:\n"
                f"  sharekit plan {folder}/shares.csv run.ledger --clouds-yaml {folder}/clouds.yaml"
                " --cloud payments --cloud web",
                flush=True,
            )
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    except UnavailableError as error:
        sys.exit(f"Keystone and Glance cannot be installed: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
