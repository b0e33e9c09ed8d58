"""The whole road on a real Keystone and Glance: what we report is what the server itself says."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

import sharekit
from benchmarks import openstack as benchmark
from sharekit.core.actions import is_satisfied
from sharekit.core.columns import STR
from sharekit.core.errors import SignInError, UsageError
from sharekit.runs import submit as execution
from tests.conftest import FAST
from tests.realcloud import Account, RealCloud, UnavailableError, start
from tests.realcloud.cloud import REGION
from tests.realcloud.install import PASSWORD

Shares = list[tuple[str, str, str]]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def openstack() -> Iterator[RealCloud]:
    """Keystone and Glance for all tests of a worker; each test makes its own projects."""
    try:
        with start() as cloud:
            yield cloud
    except UnavailableError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"with CI=true Keystone and Glance must be installed: {error}")
        pytest.skip(f"Keystone and Glance cannot be installed: {error}")


@dataclass
class Road:
    """One way from a list of shares to a verified report, and what the server shows around it."""

    cloud: RealCloud
    folder: Path
    accounts: list[Account]
    reports: tuple[str, ...] = ("outcomes.csv",)
    entries: dict[str, object] | None = None

    def config(self) -> Path:
        """A clouds.yaml with an entry for each account."""
        path = self.folder / "clouds.yaml"
        entries = {f"cloud-{n}": account for n, account in enumerate(self.accounts)}
        text = self.cloud.clouds_yaml(**entries)
        path.write_text(yaml.safe_dump({"clouds": self.entries}) if self.entries else text)
        return path

    def approved(self, shares: Shares) -> sharekit.Plan:
        """Read the shares from a file, check them with the cloud, plan and approve."""
        sheet = self.folder / "shares.csv"
        columns = ["image_id", "project_id", "status"]
        pd.DataFrame(shares, columns=columns).to_csv(sheet, index=False)
        findings = sharekit.check(sharekit.read_inventory(sheet), self.connect())
        plan = sharekit.plan(findings, self.folder / "run.ledger")
        sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
        return plan

    def connect(self) -> sharekit.Clouds:
        """Sign in to every project."""
        return sharekit.connect(config_file=self.config())

    @contextmanager
    def revoking(self) -> Iterator[None]:
        """End all tokens of the first account as soon as a share is changed, and then again.

        Between two times there is a pause in which even a slow server signs in and changes shares.
        """
        ended = threading.Event()

        def revoke() -> None:
            changed, pause = 0, 0.1
            while not ended.wait(pause):
                pause = 0.1
                if (now := self.cloud.requests().get("sharekit PUT 200", 0)) > changed:
                    self.cloud.revoke_tokens(self.accounts[0])
                    changed, pause = now, 3.0

        thread = threading.Thread(target=revoke)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            # Keystone would refuse tokens that are made in the second of a revocation.
            threading.Event().wait(1.1)

    def submit(
        self,
        plan: sharekit.Plan,
        around: AbstractContextManager[None] | None = None,
        withdrawn: Collection[tuple[str, str]] = (),
        **settings: object,
    ) -> pd.DataFrame:
        """Carry the plan out; the report, when the server agrees with it about every change.

        ``withdrawn`` are the shares that somebody else takes back meanwhile.
        """
        before = self.cloud.members(*self.accounts)
        wishes = replace(FAST, **settings)  # type: ignore[arg-type]
        with around or nullcontext():
            run = sharekit.submit(plan, self.connect(), settings=wishes)
        after = self.cloud.members(*self.accounts)
        paths = [self.folder / name for name in self.reports]
        sharekit.report(run, *paths)
        assert sharekit.verify(run.path, *paths).intact
        rows = pd.read_csv(paths[-1], dtype=STR, keep_default_na=False)
        confirmed = rows[rows["outcome"] == "confirmed"]
        every = before.keys() | after.keys()
        changed = {share for share in every if before.get(share) != after.get(share)}
        changed -= set(withdrawn)
        shares = list(zip(confirmed["image_id"], confirmed["project_id"], strict=True))
        assert sorted(shares) == sorted(changed)
        for share, act in zip(shares, confirmed["status"], strict=True):
            assert is_satisfied(act, after.get(share, "absent"))
        already = rows[rows["outcome"] == "already"]
        for share in zip(already["image_id"], already["project_id"], strict=True):
            # The other side of a share may have acted on it in the same run.
            assert before.get(share) == after.get(share) or share in shares
        return rows


@pytest.fixture
def road(openstack: RealCloud, tmp_path: Path) -> Iterator[Road]:
    """A road for one project; afterwards the server's settings are as they were."""
    yield Road(openstack, tmp_path, [openstack.account()])
    openstack.tune(token_seconds=3600, page=1000, begin="IMMEDIATE")


# -- signing in ----------------------------------------------------------------------------------
def test_password_and_catalog(road: Road) -> None:
    """A name in clouds.yaml gives access to its project, found by the server's own catalog."""
    (account,) = road.accounts
    (cloud,) = road.connect().values()
    assert cloud.project_id == account.project_id
    assert cloud.image == road.cloud.image_url
    assert cloud.resolve_api() == "native"


def test_wrong_password(road: Road) -> None:
    """A wrong password is refused in one sentence that does not hold it."""
    road.accounts = [replace(road.accounts[0], password="guessed-wrong")]
    with pytest.raises(SignInError, match="sign-in was refused") as refusal:
        road.connect()
    assert "guessed-wrong" not in str(refusal.value)


def test_project_without_a_role(road: Road) -> None:
    """A user without a role in the project cannot sign in, and is told where to look."""
    road.accounts = [road.cloud.account(role="")]
    with pytest.raises(SignInError, match="project"):
        road.connect()


def test_application_credential(road: Road) -> None:
    """An application credential signs in without user or project being named."""
    (account,) = road.accounts
    with road.cloud.connection(account) as connection:
        made = connection.identity.create_application_credential(
            connection.current_user_id, name="sharekit", roles=[{"name": "member"}]
        )
    auth = {
        "auth_url": road.cloud.auth_url,
        "application_credential_id": made.id,
        "application_credential_secret": made.secret,
    }
    config = road.folder / "clouds.yaml"
    entry = {"auth_type": "v3applicationcredential", "auth": auth}
    config.write_text(yaml.safe_dump({"clouds": {"robot": entry}}))
    assert list(sharekit.connect("robot", config_file=config)) == [account.project_id]


def test_token_and_trust(road: Road) -> None:
    """A token signs in for its project, and a trust for the project of somebody else."""
    cloud, (account,), friend = road.cloud, road.accounts, road.cloud.account()
    where, config = {"auth_url": cloud.auth_url}, road.folder / "clouds.yaml"
    with cloud.connection(account) as mine, cloud.connection(friend) as theirs:
        token = {"token": mine.auth_token, "project_id": account.project_id}
        trust = mine.session.post(
            f"{cloud.auth_url}/OS-TRUST/trusts",
            json={
                "trust": {
                    "trustor_user_id": mine.current_user_id,
                    "trustee_user_id": theirs.current_user_id,
                    "project_id": account.project_id,
                    "impersonation": False,
                    "roles": [{"name": "member"}],
                }
            },
        ).json()["trust"]
    trusted = friend.auth(cloud.auth_url) | {"trust_id": trust["id"]}
    del trusted["project_id"]
    half = friend.auth(cloud.auth_url) | {"project_name": "p"}
    del half["project_id"]
    entries = {"token": {"auth_type": "token", "auth": where | token}, "trust": {"auth": trusted}}
    stale = {"auth_type": "token", "auth": where | token | {"token": "gAAAAA-revoked"}}
    entries |= {"half": {"auth": half}, "stale": stale}
    config.write_text(yaml.safe_dump({"clouds": entries}))
    for name in ("token", "trust"):
        assert list(sharekit.connect(name, config_file=config)) == [account.project_id]
    with pytest.raises(SignInError, match=r"find domain in project\. Correct"):
        sharekit.connect("half", config_file=config)
    with pytest.raises(SignInError, match="whether a token or credential in it has ended"):
        sharekit.connect("stale", config_file=config)


def test_one_account_with_several_projects(road: Road) -> None:
    """An account for no project in particular goes the road for all of its projects at once."""
    cloud, (account,) = road.cloud, road.accounts
    second = cloud.account(user=account)
    owner = cloud.account()
    images = cloud.share_many(owner, 3, account, second)
    road.accounts = [account, second]
    auth = account.auth(cloud.auth_url)
    del auth["project_id"]
    entry = {"auth": auth, "sharekit": {"projects": "all"}}
    road.entries = {"mine": entry}
    shares = [(i, p, "accepted") for i in images for p in (account.project_id, second.project_id)]
    rows = road.submit(road.approved([*shares, (images[0], owner.project_id, "accepted")]))
    assert rows["outcome"].tolist() == ["confirmed"] * 6 + ["blocked"]
    assert rows["code"].iloc[-1] == "no-credentials"


def test_an_administrator_acts_for_fifty_projects(road: Road) -> None:
    """It accepts for 50 projects once that is confirmed; a plain user is refused in a sentence."""
    cloud, (plain,) = road.cloud, road.accounts
    projects = [Account("", "", uuid.uuid4().hex) for _ in range(50)]
    images = cloud.share_many(cloud.account(), 2, *projects)
    own = {"region_name": REGION, "sharekit": {"acts_for": "all"}}
    admin = Account("admin", PASSWORD, str(cloud.admin.current_project_id))
    road.entries = {"operator": {"auth": admin.auth(cloud.auth_url), **own}}
    stranger = (images[0], uuid.uuid4().hex, "accepted")
    shares = [(image, one.project_id, "accepted") for image in images for one in projects]
    sheet = pd.DataFrame([*shares, stranger], columns=["image_id", "project_id", "status"])
    inventory = sharekit.read_inventory(sheet)
    findings = sharekit.check(inventory, road.connect())
    assert findings.frame["rule"].value_counts().to_dict() == {"acts-for": 101, "not-shared": 1}
    assert set(findings.rows["disposition"]) == {"blocked"}
    findings = sharekit.check(inventory, road.connect(), confirm=["acts-for"])
    plan = sharekit.plan(findings, road.folder / "run.ledger")
    sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
    run = sharekit.submit(plan, road.connect(), settings=FAST)
    assert {name: n for name, n in run.counts.items() if n} == {"confirmed": 100, "blocked": 1}
    with cloud.connection(admin) as hers:
        shown = [one.status for image in images for one in hers.image.members(image)]
    assert shown == ["accepted"] * 100
    report = road.folder / "audit.html"
    sharekit.report(run, report)
    assert sharekit.verify(run.path, report).intact
    assert "acted for 50 projects" in report.read_text("utf-8")
    result = sharekit.audit(inventory, road.connect())
    assert result.counts["agrees"] == 100
    road.entries = {"operator": {"auth": plain.auth(cloud.auth_url), **own}}
    with pytest.raises(SignInError, match=r"no administrator \(its roles: .*\), so it cannot act"):
        road.connect()


def test_an_administrator_shares_for_an_owner(road: Road) -> None:
    """It shares and takes back images of a project that has no sign-in, once that is confirmed."""
    cloud = road.cloud
    owner, friend, other = cloud.account(), cloud.account(), cloud.account()
    (fresh,), (shared,) = cloud.share_many(owner, 1), cloud.share_many(owner, 1, friend)
    admin = Account("admin", PASSWORD, str(cloud.admin.current_project_id))
    entry = {"region_name": REGION, "sharekit": {"acts_for": "all"}}
    road.entries = {"operator": {"auth": admin.auth(cloud.auth_url), **entry}}
    rows = [(fresh, friend.project_id, "share", owner.project_id),
            (shared, friend.project_id, "unshare", owner.project_id),
            (fresh, other.project_id, "share", "")]  # fmt: skip
    sheet = pd.DataFrame(rows, columns=["image_id", "project_id", "status", "owner"])
    inventory = sharekit.read_inventory(sheet)
    findings = sharekit.check(inventory, road.connect())
    assert set(findings.rows["disposition"]) == {"blocked"}
    findings = sharekit.check(inventory, road.connect(), confirm=["acts-for"])
    plan = sharekit.plan(findings, road.folder / "run.ledger")
    sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
    run = sharekit.submit(plan, road.connect(), settings=FAST)
    assert run.counts["confirmed"] == 3
    assert cloud.members(friend, other).keys() == {
        (fresh, friend.project_id), (fresh, other.project_id)
    }  # fmt: skip
    report = road.folder / "audit.html"
    sharekit.report(run, report)
    assert sharekit.verify(run.path, report).intact
    assert "acted for" in report.read_text("utf-8")


def test_variables(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name, the OS_* variables of an openrc file are used."""
    (account,) = road.accounts
    for name, value in account.auth(road.cloud.auth_url).items():
        monkeypatch.setenv(f"OS_{name.upper()}", value)
    assert list(sharekit.connect()) == [account.project_id]


def test_secure_yaml(road: Road) -> None:
    """A password in secure.yaml beside clouds.yaml is found; without it one sentence says so."""
    config = road.config()
    content = yaml.safe_load(config.read_text())
    secret = {"auth": {"password": content["clouds"]["cloud-0"]["auth"].pop("password")}}
    config.write_text(yaml.safe_dump(content))
    with pytest.raises(SignInError, match=r"password .* secure\.yaml"):
        sharekit.connect("cloud-0", config_file=config)
    (road.folder / "secure.yaml").write_text(yaml.safe_dump({"clouds": {"cloud-0": secret}}))
    assert len(sharekit.connect("cloud-0", config_file=config)) == 1


def test_one_project_by_two_names(road: Road) -> None:
    """Two entries that lead to one project are refused, for nobody could tell which is meant."""
    road.accounts *= 2
    with pytest.raises(UsageError, match="same project"):
        road.connect()


# -- the whole road -------------------------------------------------------------------------------
def test_every_kind_of_share(road: Road) -> None:
    """Each kind of share ends as it must, and the server shows exactly the confirmed changes."""
    cloud, owner = road.cloud, road.cloud.account()
    payments, web, reader = road.accounts[0], cloud.account(), cloud.account(role="reader")
    road.accounts, road.reports = (
        [payments, web, reader],
        ("audit.xlsx", "audit.html", "outcomes.csv"),
    )
    with cloud.connection(owner) as hers, cloud.connection(payments) as mine:
        new = cloud.share(hers, 6, payments, web)
        hidden = cloud.share(hers, 2, payments, hidden=True)
        rejected = cloud.share(hers, 1, payments)[0]
        accepted = cloud.share(hers, 1, payments)[0]
        withdrawn, deleted = cloud.share(hers, 2, payments)
        elsewhere = cloud.share(hers, 1)[0]
        read_only = cloud.share(hers, 1, reader)[0]
        own, refused = cloud.share(mine, 2, web)
        with cloud.connection(web) as theirs:
            theirs.image.update_member(web.project_id, refused, status="rejected")
        for image, status in ((rejected, "rejected"), (accepted, "accepted")):
            mine.image.update_member(payments.project_id, image, status=status)
        hers.image.remove_member(payments.project_id, withdrawn)
        hers.image.delete_image(deleted)
    p, w = payments.project_id, web.project_id
    cases = [
        (new[0], p, "accepted", "confirmed", ""),
        (new[1], p, "rejected", "confirmed", ""),
        (new[0], w, "rejected", "confirmed", ""),
        (new[2].upper(), p, "accepted", "confirmed", ""),
        (new[3].replace("-", ""), w, "accepted", "confirmed", ""),
        (hidden[0], p, "accepted", "confirmed", ""),
        (hidden[1], p, "rejected", "confirmed", ""),
        (rejected, p, "accepted", "confirmed", ""),
        (accepted, p, "accepted", "already", ""),
        (withdrawn, p, "accepted", "blocked", "not-shared"),
        (deleted, p, "rejected", "blocked", "not-shared"),
        (elsewhere, p, "accepted", "blocked", "not-shared"),
        (own, p, "accepted", "blocked", "own-image"),
        (refused, p, "accepted", "blocked", "own-image"),
        (own, w, "accepted", "confirmed", ""),
        (read_only, reader.project_id, "accepted", "failed", "HTTP403"),
        (f"{new[4][:-1]}g", p, "accepted", "blocked", "image-id-format"),
        (new[4][:-1], p, "accepted", "blocked", "image-id-format"),
        (new[4], "0" * 32, "accepted", "blocked", "no-credentials"),
    ]
    rows = road.submit(road.approved([case[:3] for case in cases]))
    got = list(zip(rows["outcome"], rows["code"], strict=True))
    assert got == [case[3:] for case in cases]
    assert (rows.loc[rows["outcome"] == "confirmed", "request_id"] != "").all()
    assert rows.loc[rows["outcome"] == "failed", "reason"].str.contains("not authorized").all()
    # What others decided about a project's own image is no state of that project's.
    assert set(rows.loc[rows["code"] == "own-image", "before"]) == {""}


def test_share_that_vanishes_in_between(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share withdrawn after the last look fails alone, with the server's own words."""
    cloud = road.cloud
    with cloud.connection(cloud.account()) as hers:
        images = cloud.share(hers, 5, road.accounts[0])
        project = road.accounts[0].project_id
        plan = road.approved([(image, project, "accepted") for image in images])
        look = execution.take_snapshot

        def look_then_withdraw(*args: object, **kwargs: object) -> object:
            seen = look(*args, **kwargs)  # type: ignore[arg-type]
            hers.image.remove_member(project, images[0])
            return seen

        # No server can time that.
        monkeypatch.setattr("sharekit.runs.submit.take_snapshot", look_then_withdraw)
        rows = road.submit(plan, withdrawn=[(images[0], project)])
    assert rows["outcome"].tolist() == ["failed"] + ["confirmed"] * 4
    assert rows.at[0, "code"] == "HTTP404"
    assert rows.at[0, "reason"]


def test_there_and_back(road: Road) -> None:
    """Accepted, then rejected, then accepted again: three runs, each confirmed by the server."""
    cloud, (account,) = road.cloud, road.accounts
    images = cloud.share_many(cloud.account(), 3, account)
    for status in ("accepted", "rejected", "accepted"):
        plan = road.approved([(image, account.project_id, status) for image in images])
        assert set(road.submit(plan)["outcome"]) == {"confirmed"}
        plan.path.unlink()


# -- bad days -------------------------------------------------------------------------------------
@contextmanager
def tokens_of(cloud: RealCloud, seconds: float) -> Iterator[None]:
    """Tokens that are made in this block end after so many seconds."""
    cloud.tune(token_seconds=seconds)
    yield
    cloud.tune(token_seconds=3600)


def test_tokens_that_live_for_seconds(road: Road) -> None:
    """Tokens that end every few seconds in mid-run cost a sign-in each, and not one row."""
    cloud, (account,) = road.cloud, road.accounts
    images = cloud.share_many(cloud.account(), 90, account)
    plan = road.approved([(image, account.project_id, "accepted") for image in images])
    before, begun = cloud.requests("identity")["sharekit POST 201"], time.monotonic()
    rows = road.submit(plan, tokens_of(cloud, 2), concurrency=1)
    # A busy machine sends less before a token ends; none is renewed in its first second.
    most = 2 + time.monotonic() - begun
    assert 1 < cloud.requests("identity")["sharekit POST 201"] - before < most
    assert set(rows["outcome"]) == {"confirmed"}


def test_tokens_revoked_in_mid_run(road: Road) -> None:
    """Tokens revoked in mid-run give real 401s, a new sign-in each, and every row confirmed."""
    cloud, (account,) = road.cloud, road.accounts
    images = cloud.share_many(cloud.account(), 120, account)
    plan = road.approved([(image, account.project_id, "accepted") for image in images])
    cloud.tune(forget=True)
    rows = road.submit(plan, road.revoking(), concurrency=2)
    assert set(rows["outcome"]) == {"confirmed"}
    assert cloud.requests()["sharekit PUT 401"] > 0


def test_real_faults_under_concurrency(road: Road) -> None:
    """Glance's own 500s, when its database is locked by two at once, are repeated to the end."""
    cloud, (account,) = road.cloud, road.accounts
    images = cloud.share_many(cloud.account(), 50, account)
    plan = road.approved([(image, account.project_id, "accepted") for image in images])
    cloud.tune(begin="DEFERRED", forget=True)
    rows = road.submit(plan, concurrency=8, attempts=30)
    assert set(rows["outcome"]) == {"confirmed"}
    assert cloud.requests().get("PUT 500", 0) > 0


def test_a_listing_of_sixteen_pages(road: Road) -> None:
    """With pages of 4, every one of 64 shares is found before, and proved after."""
    cloud, (account,) = road.cloud, road.accounts
    owner = cloud.account()
    done = cloud.share_many(owner, 44, account, status="accepted")
    new = cloud.share_many(owner, 20, account)
    cloud.tune(page=4, forget=True)
    shares = [(image, account.project_id, "accepted") for image in done + new]
    rows = road.submit(road.approved(shares))
    assert rows["outcome"].tolist() == ["already"] * 44 + ["confirmed"] * 20
    assert cloud.requests()["GET 200"] >= 2 * 16


def test_many_hidden_images(road: Road) -> None:
    """Hidden images are in no usual listing; several pages of them are found and accepted."""
    cloud, (account,) = road.cloud, road.accounts
    owner = cloud.account()
    hidden = cloud.share_many(owner, 20, account, status="accepted", hidden=True)
    hidden += cloud.share_many(owner, 8, account, hidden=True)
    cloud.tune(page=4)
    rows = road.submit(road.approved([(i, account.project_id, "accepted") for i in hidden]))
    assert rows["outcome"].tolist() == ["already"] * 20 + ["confirmed"] * 8


def test_benchmark_sides_end_alike(openstack: RealCloud, tmp_path: Path) -> None:
    """Either side of the benchmark accepts all of its images, or there is no result."""
    owner = openstack.account()
    wall, whole = benchmark._sharekit(openstack, owner, tmp_path, 4, 2)
    assert 0 < wall < whole
    assert benchmark._bare_loop(openstack, owner, 4, 2) > 0
    assert benchmark._command(openstack, owner) > 0


# -- the owner's side -----------------------------------------------------------------------------
def test_what_a_project_owns(road: Road) -> None:
    """Own images come in pages, hidden ones too, and their members as the server knows them."""
    cloud, (owner,) = road.cloud, road.accounts
    one, two = cloud.account(), cloud.account()
    cloud.tune(page=8)
    plain = cloud.share_many(owner, 20, one, two, status="accepted")
    hidden = cloud.share_many(owner, 2, hidden=True)
    cloud.share_many(one, 3, owner, status="accepted")
    (mine,) = road.connect().values()
    assert sorted(image.image_id for image in mine.owned()) == sorted([*plain, *hidden])
    members = {member.project_id: member for member in mine.members(plain[0])}
    assert members.keys() == {one.project_id, two.project_id}
    assert {member.state for member in members.values()} == {"accepted"}
    assert {member.created_at for member in members.values()} == {"2026-01-01T00:00:00Z"}
    assert mine.members(hidden[0]) == []


def test_an_audit_on_a_real_server(road: Road) -> None:
    """Each row and share as the server's own database has it, by somebody who may only look; the
    server sees nothing but GETs besides signing in, and nothing has changed."""  # noqa: D205, D209
    cloud, (owner,) = road.cloud, road.accounts
    reader, far = cloud.account(role="reader"), cloud.account()
    cloud.tune(page=25)
    listed = cloud.share_many(owner, 30, reader, status="accepted")
    pending, shadow = cloud.share_many(owner, 1, reader), cloud.share_many(far, 2, reader)
    hidden = cloud.share_many(far, 1, reader, hidden=True, status="rejected")
    out = cloud.share_many(owner, 1, far, status="accepted")
    hers = cloud.connection(owner)
    gone, kept = cloud.share(hers, 2, reader)
    hers.image.delete_image(gone)
    hers.image.remove_member(reader.project_id, kept)
    never = "00000000-0000-4000-8000-000000000000"
    rows = [(i, "accepted", "") for i in (*listed, *pending, *hidden, kept, never)]
    rows.append((gone, "accepted", owner.project_id))
    sheet = road.folder / "shares.csv"
    frame = pd.DataFrame(rows, columns=["image_id", "status", "owner"])
    frame.assign(project_id=reader.project_id).to_csv(sheet, index=False)
    road.accounts = [reader, owner]
    accounts = (owner, reader, far)
    before = cloud.members(*accounts)
    clouds = road.connect()
    cloud.tune(forget=True)
    signed_in = Counter(cloud.requests("identity"))
    found = sharekit.audit(sharekit.read_inventory(sheet), clouds)
    assert {name.split()[0] for name in cloud.requests() if len(name.split()) == 2} == {"GET"}
    # Keystone may have been asked for a token, once for each project.
    asked = {n: k for n, k in (Counter(cloud.requests("identity")) - signed_in).items()
             if len(n.split()) == 2}  # fmt: skip
    assert {name for name in asked if name.split()[0] != "GET"} <= {"POST 201"}
    assert asked.get("POST 201", 0) <= 2
    assert cloud.members(*accounts) == before
    said = found.rows.set_index("image_id")
    results = said["result"].to_dict()
    assert {results.pop(i) for i in listed} == {"agrees"}
    assert results == {
        pending[0]: "undecided", hidden[0]: "differs", kept: "absent", never: "absent",
        gone: "absent", **dict.fromkeys(shadow, "unlisted"), out[0]: "shared-out",
    }  # fmt: skip
    assert said.loc[[kept, gone, never], "code"].tolist() == [
        "owner-keeps", "owner-lacks", "not-told",
    ]  # fmt: skip
    shares = found.survey.shares[found.survey.shares["state"] != "absent"]
    shown = {(s.image_id, s.project_id): s.state for s in shares.itertuples()}
    assert shown == {key: state for key, state in before.items() if key[1] == reader.project_id}
    assert said.loc[shadow, "shared_at"].tolist() == ["2026-01-01T00:00:00Z"] * 2
    assert set(said.loc[shadow, "owner"]) == {far.project_id}


def test_from_offer_to_withdrawal(openstack: RealCloud, tmp_path: Path) -> None:
    """Shared, accepted, taken back, offered anew: each run's confirmed rows are what changed."""
    cloud = openstack
    owner, payments, web = cloud.account(), cloud.account(), cloud.account()
    with cloud.connection(owner) as hers:
        images = cloud.share(hers, 4)
        (private,) = cloud.share(hers, 1)
        hers.image.update_image(private, visibility="private")
    p, w = payments.project_id, web.project_id

    def run(name: str, shares: Shares) -> list[str]:
        folder = tmp_path / name
        folder.mkdir()
        road = Road(cloud, folder, [owner, payments, web])
        return road.submit(road.approved(shares))["outcome"].tolist()

    pairs = [(image, project) for image in images for project in (p, w)]
    offer = [(*pair, "share") for pair in pairs]
    refused = [(private, p, "share"), (images[0], owner.project_id, "share")]
    assert run("share", [*offer, *refused]) == ["confirmed"] * 8 + ["blocked"] * 2
    taken = [(image, p, "accepted") for image in images[:3]] + [(images[3], p, "rejected")]
    both = [*taken, (images[0], p, "share"), (images[1], w, "unshare")]
    assert run("accept", both) == ["confirmed"] * 4 + ["already", "confirmed"]
    back = [(*pair, "unshare") for pair in pairs]
    told = ["confirmed"] * len(pairs)
    told[pairs.index((images[1], w))] = "already"
    assert run("unshare", back) == told
    assert cloud.members(payments, web) == {}
