"""Adapters from settings: where Redis is, how a provider is reached, what an account allows."""

import getpass
import json
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from worker import embedded
from worker.config.accounts import Account, Config
from worker.config.accounts import load as load_config
from worker.config.sections import OAuth
from worker.config.settings import Settings
from worker.domain.breakers import Breakers
from worker.domain.catalogue import Catalogue, is_id, shown
from worker.domain.errors import CredentialsMissing, InvalidInput, Unreachable
from worker.domain.options import check
from worker.domain.plan import Protection
from worker.ports import Who
from worker.providers.bulk import bulk_of
from worker.providers.dialect import Bulk, Dialect
from worker.providers.login import Login
from worker.providers.registry import dialect_of
from worker.providers.secrets import digest, resolve
from worker.services.control import ConfirmRules
from worker.services.tools import AccountFacts

DAYS_ITEMS = 10
"""A day's items, in times of `max_items`, where nothing else is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where Redis is, for the gate and as Celery's broker."""

    redis: str
    broker: str


def addresses(settings: Settings) -> Addresses:
    """The configured Redis and broker, else the embedded server of this data directory.

    Raises Unreachable if there is neither.
    """
    if settings.redis_url:
        return Addresses(redis=settings.redis_url, broker=settings.broker or settings.redis_url)
    server = embedded.find(settings.data_dir)
    if server is None:
        raise Unreachable(
            "there is no Redis: BULKDEL_REDIS_URL is not set and nothing runs here",
            fix="run: bulkdel up   (or set BULKDEL_REDIS_URL)",
        )
    return Addresses(redis=server.redis_url, broker=settings.broker_url or server.url)


class Accountbook:
    """The configuration, read again when its file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: int | None = None
        self._config: Config | None = None

    def now(self) -> Config:
        """The configuration as it stands; the same object while the file is the same."""
        changed_at = self._path.stat().st_mtime_ns if self._path.exists() else None
        if self._config is None or changed_at != self._read_at:
            self._config, self._read_at = load_config(self._path), changed_at
        return self._config

    def written(self) -> datetime:
        """When the file was written, or put in its place; by this machine's clock."""
        there = self._path.stat()
        return datetime.fromtimestamp(max(there.st_mtime, there.st_ctime), UTC)


def account_facts(account: Account, config: Config) -> AccountFacts:
    """What the configuration says of an account, as its work needs it."""
    purses = account.purses(config)
    users = {
        purse.name: tuple(
            other.name
            for other in config.accounts.values()
            if purse.name in {other.name, other.purse}
        )
        for purse in purses
    }
    dialect = dialect_for(account)
    bulk = bulk_for(account)
    return AccountFacts(
        name=account.name,
        catalogue=dialect.catalogue,
        purses=purses,
        sharing=users,
        protection=_protection(account, dialect.catalogue),
        max_items=account.max_items,
        max_percent=account.max_percent,
        max_items_per_day=items_per_day(account),
        canary_above=account.canary.above,
        canary_percent=account.canary.percent,
        canary_least=account.canary.min,
        canary_hold=account.canary.hold,
        breakers=Breakers(**account.breakers.model_dump()),
        call_timeout=account.call_timeout,
        confirm=confirm_rules(account),
        filters=dialect.filters,
        options=dialect.options,
        page_size=dialect.listing.paging.size,
        bulk_size=bulk.size if bulk else 0,
        shows_all=bulk.shows_all if bulk else (),
        place=place_of(account),
    )


def _protection(account: Account, catalogue: Catalogue) -> Protection:
    """What is protected; InvalidInput for an id no object can have: it would protect nothing."""
    kinds = (catalogue.project, *catalogue.children)
    for external_id in account.protect.ids:
        if not any(is_id(kind, external_id) for kind in kinds):
            raise InvalidInput(
                f"protect.ids of account {account.name} holds {shown(external_id)}, "
                f"which is no id of {catalogue.provider} and would protect nothing",
                fix=f"write each id as the provider does: {catalogue.project.id_pattern}",
            )
    return account.protection()


def bulk_for(account: Account) -> Bulk | None:
    """The provider's bulk delete as the account has it; None where it is off."""
    settings = account.bulk_delete
    if not settings.enabled:
        return None
    return bulk_of(dialect_for(account), parameter=settings.parameter, size=settings.size)


def login_of(oauth: OAuth) -> Login:
    """What a refresh takes, read anew; CredentialsMissing if a part of it cannot be read here."""
    return Login(
        token_url=oauth.token_url,
        client_id=resolve(oauth.client_id),
        client_secret=resolve(oauth.client_secret),
        refresh_token=resolve(oauth.refresh_token),
    )


def secret_of(account: Account) -> str:
    """What stands and falls with a person: the token, or all a refresh takes, as one text.

    Raises CredentialsMissing if it cannot be read here.
    """
    if account.oauth is not None:
        login = login_of(account.oauth)
        return json.dumps([login.client_id, login.client_secret, login.refresh_token])
    if account.token is None:
        raise CredentialsMissing(
            f"account {account.name} has no token", fix='write token = "env:NAME" for it'
        )
    return resolve(account.token)


def secret_digest(account: Account) -> str:
    """A digest by which a replaced token is noticed; empty while it is missing."""
    try:
        return digest(secret_of(account))
    except CredentialsMissing:
        return ""


def catalogue_of(account: Account) -> Catalogue:
    """What an account's provider has to delete."""
    return dialect_for(account).catalogue


def checked_dialect(account: Account) -> Dialect:
    """The account's dialect; InvalidInput for settings that no call could be made with."""
    dialect = dialect_for(account)
    bulk_for(account)
    _protection(account, dialect.catalogue)
    check(dialect.options, account.options)
    return dialect


def dialect_for(account: Account) -> Dialect:
    """How the account's provider speaks to it."""
    dialect = dialect_of(account.provider, account.dialect)
    return dialect if account.lists_comments else dialect.without("comment")


def confirm_rules(account: Account) -> ConfirmRules:
    """What an account asks of a confirmation."""
    return ConfirmRules(
        auto_confirm_max=account.auto_confirm_max,
        grace_above=account.grace.above,
        grace=account.grace.wait,
        place=place_of(account),
        max_items_per_day=items_per_day(account),
        approval_over=account.approval_over,
    )


def items_per_day(account: Account) -> int:
    """How many items all jobs of a day may delete together."""
    return account.max_items_per_day or DAYS_ITEMS * account.max_items


def place_of(account: Account) -> str:
    """Where an account leads: a plan made for one place is never carried out at another."""
    whose = account.organization_id or account.integrated_account_id
    return f"{account.provider} {account.base_url} {whose}"


def who_am_i(settings: Settings) -> Who:
    """Who runs this process: the claimed name, and what the machine knows."""
    user = getpass.getuser()
    return Who(name=settings.actor or user, os_user=user, host=socket.gethostname())


def owner_name(role: str) -> str:
    """How this process signs its leases and entries."""
    return f"{role}@{socket.gethostname()}:{os.getpid()}"
