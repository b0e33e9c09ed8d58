"""Where the services of known regions are, for catalogs that lack them and for access keys.

Sources: Open Telekom Cloud, *Regions and Endpoints* (eu-de, eu-nl; the address of eu-ch2 is of the
same list, but was not tried); ``huaweicloudsdkims`` 3.1, ``ims_region.py`` (all Huawei regions; for
eu-west-101 the endpoint list of that site is followed, which ends in ``.eu``). The catalog of the
cloud, and ``ims_endpoint_override`` and its like in ``clouds.yaml``, go before this table.

Examples
--------
>>> known("eu-de", "iam.eu-de.otc.t-systems.com")["ims"]
'https://ims.eu-de.otc.t-systems.com'
>>> known("eu-de", "keystone.example.org")
{}
"""

from __future__ import annotations

from typing import Final

_OTC: Final = "otc.t-systems.com"
_HUAWEI: Final = "myhuaweicloud.com"
#: region -> the domain that its services share.
DOMAINS: Final = {
    "eu-de": _OTC,
    "eu-nl": _OTC,
    "eu-ch2": f"sc.{_OTC}",
    "eu-west-101": "myhuaweicloud.eu",
    **dict.fromkeys(
        "ae-ad-1 af-north-1 af-south-1 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 "
        "ap-southeast-5 cn-east-2 cn-east-3 cn-east-4 cn-east-5 cn-north-1 cn-north-2 cn-north-4 "
        "cn-north-9 cn-north-11 cn-north-12 cn-south-1 cn-south-2 cn-south-4 cn-southwest-2 "
        "cn-southwest-3 eu-west-0 la-north-2 la-south-2 me-east-1 my-kualalumpur-1 na-mexico-1 "
        "ru-moscow-1 sa-brazil-1 tr-west-1".split(),
        _HUAWEI,
    ),
}


def known(region: str, identity_host: str = "") -> dict[str, str]:
    """Return the addresses of ``ims``, ``image`` and ``cbr``; empty for a region not known.

    ``identity_host``, where there is one, must be of the same provider: other clouds may have
    regions of the same name. In ``cbr``, ``{project_id}`` stands for the project.
    """
    domain = DOMAINS.get(region)
    family = domain.removeprefix("sc.") if domain else ""
    if domain is None or (identity_host and not identity_host.endswith(f".{family}")):
        return {}
    ims = f"https://ims.{region}.{domain}"
    return {"ims": ims, "image": ims, "cbr": f"https://cbr.{region}.{domain}/v3/{{project_id}}"}


def of_project(name: str) -> str:
    """Return the region that a project's name begins with, "" if it is none known.

    >>> of_project("eu-de_payments"), of_project("eu-de"), of_project("europe")
    ('eu-de', 'eu-de', '')
    """
    region = name.partition("_")[0]
    return region if region in DOMAINS else ""
