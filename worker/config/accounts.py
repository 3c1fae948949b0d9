"""The accounts of `bulkdel.toml`: how each is reached, limited and guarded."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from worker.config.faults import explain, not_toml
from worker.config.fields import (
    BaseUrl,
    Count,
    DialectName,
    HoursOfDay,
    Id,
    Options,
    Parameter,
    Percent,
    Positive,
    ProviderName,
    Reference,
    Section,
    Share,
    Text,
    Timeout,
    fault,
)
from worker.config.naming import named, no_such
from worker.config.ours import (
    LIMITS,
    NEEDED,
    ORGANIZATION_PARAM,
    OWNER_BY_KEY,
    ZOHO_BOOKS,
    from_base_url,
)
from worker.config.sections import (
    Breakers,
    BulkDelete,
    Canary,
    Grace,
    Limits,
    OAuth,
    Policy,
    Protect,
    SharedPurse,
)
from worker.config.values import Doc, did_you_mean, is_loopback
from worker.domain.catalogue import shown
from worker.domain.errors import InvalidInput, NotFound
from worker.domain.limits import Purse
from worker.domain.plan import Protection


class Account(Section):
    """A named connection. It holds references to secrets, never a secret."""

    given: ClassVar[frozenset[str]] = frozenset({"name"})

    name: str = Field(description="The account's name.")
    provider: Annotated[
        ProviderName, Doc(type='"zoho_books", "truto", or one of an installed package')
    ] = Field(description="Whose API it is.")
    base_url: BaseUrl = Field(description="Where the API is; https, except on this machine.")
    dialect: Annotated[
        DialectName,
        HoursOfDay,
        Doc(
            type='zoho_books: "v4" or "v3"; truto: "unified", "capsule" or "pipeliner"',
            default='zoho_books: the end of base_url; truto: "unified"',
        ),
    ] = Field(default="", description="Which API of the provider it is.")
    organization_id: Annotated[Id, Doc(default="required for zoho_books")] = Field(
        default="", description="Zoho Books: the organisation."
    )
    organization_param: Annotated[
        Parameter, Doc(default='v4: "organization-id", v3: "organization_id"')
    ] = Field(default="", description="Zoho Books: the parameter that names the organisation.")
    integrated_account_id: Annotated[Id, Doc(default="required for truto")] = Field(
        default="", description="Truto: the connected account."
    )
    token: Reference | None = Field(
        default=None, description="Where the token is; either this or `oauth`."
    )
    oauth: OAuth | None = Field(
        default=None, description="Zoho Books: a refresh token; either this or `token`."
    )
    limits: Limits = Field(
        default=Limits(),
        description='What the provider allows; for truto windows [[50, "10s"]], per_day 0.',
    )
    purse: Text | None = Field(
        default=None, description="A purse it shares with other accounts, beside its own."
    )
    rate_share: Share = Field(default=0.9, description="Our share of the windows.")
    day_share: Share = Field(default=0.8, description="Our share of the day's calls.")
    bulk_delete: BulkDelete = Field(
        default=BulkDelete(), description="Zoho Books: deleting projects in chunks."
    )
    options: Options = Field(
        default=(), description="Truto: what each deletion carries, unless a job says otherwise."
    )
    lists_comments: bool = Field(
        default=True, description="Zoho Books: whether a project's comments can be listed."
    )
    protect: Protect = Field(default=Protect(), description="What no job may delete.")
    max_items: Positive = Field(
        default=1000, description="A plan with more items is refused, unless --max-items says so."
    )
    auto_confirm_max: Count = Field(
        default=10, description="Up to this many items --yes is enough; above, the word is needed."
    )
    grace: Grace = Field(
        default=Grace(), description="Time to think again; none on this machine unless set."
    )
    canary: Canary = Field(
        default=Canary(), description="The part of a large job that goes first."
    )
    breakers: Breakers = Field(default=Breakers(), description="When a job stops by itself.")
    max_percent: Percent | None = Field(
        default=None, description="Percent of all projects of the account that a plan may take."
    )
    max_items_per_day: Annotated[Positive | None, Doc(default="ten times max_items")] = Field(
        default=None, description="Items that all jobs of a day (UTC) may delete together."
    )
    approval_over: Count | None = Field(
        default=None, description="Above this many items a second person has to approve."
    )
    hours: Annotated[HoursOfDay, Doc(default="always")] = Field(
        default="", description="When new jobs may delete: bulkdel set changes it for one job."
    )
    call_timeout: Timeout = Field(
        default=timedelta(seconds=15), description="The longest one call may take, all in all."
    )

    @property
    def is_loopback(self) -> bool:
        """Whether the account is on this machine: a sandbox, a test."""
        return is_loopback(self.base_url)

    @property
    def selector_value(self) -> str:
        """What names the organisation or connected account to the provider."""
        return self.organization_id or self.integrated_account_id

    def purses(self, config: "Config") -> tuple[Purse, ...]:
        """What every call of this account is taken from: its own purse, then the shared one."""
        own = self.limits.as_purse(self.name, rate_share=self.rate_share, day_share=self.day_share)
        return (own, config.shared_purse(self.purse)) if self.purse else (own,)

    def protection(self) -> Protection:
        """What no job may delete, as planning asks it."""
        return Protection(ids=frozenset(self.protect.ids), names=self.protect.names)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, raw: object) -> object:
        if not isinstance(raw, Mapping) or not isinstance(raw.get("provider"), str):
            return raw
        provider, base_url = raw["provider"], raw.get("base_url")
        for key in raw:
            if provider in NEEDED and OWNER_BY_KEY.get(key, provider) != provider:
                raise fault(f"is a key of {OWNER_BY_KEY[key]} accounts alone", under=(key,))
        filled: dict[str, Any] = {**raw}
        if isinstance(limits := raw.get("limits", {}), Mapping):
            filled["limits"] = {**LIMITS.get(provider, {}), **limits}
        if isinstance(base_url, str):
            filled |= from_base_url(base_url, filled)
        return filled

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for key in NEEDED.get(self.provider, ()):
            if not getattr(self, key):
                fix = 'end base_url with its version, or write dialect = "v4"'
                raise fault(
                    f"is needed for a {self.provider} account",
                    fix=fix if key == "dialect" else f'write {key} = "…"',
                    under=(key,),
                )
        if self.provider == ZOHO_BOOKS and self.dialect not in ORGANIZATION_PARAM:
            there = ", ".join(ORGANIZATION_PARAM)
            raise fault(
                "names no version of Zoho Books", fix=f"one of: {there}", under=("dialect",)
            )
        if (self.token is None) == (self.oauth is None):
            raise fault(
                "needs exactly one of `token` and `oauth`",
                fix=f'write token = "env:{self.name.upper().replace("-", "_")}_TOKEN"',
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the file says, by name. A file that is not there is one without accounts."""

    path: Path
    accounts: Mapping[str, Account] = field(default_factory=dict)
    shared: Mapping[str, SharedPurse] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    found: bool = True

    def account(self, name: str) -> Account:
        """The account of that name; raises InvalidInput that says which ones there are."""
        if name in self.accounts:
            return self.accounts[name]
        if not self.found:
            raise InvalidInput(
                f"no accounts: there is no file {self.path.absolute()}",
                fix="run `bulkdel init` to write one, or set BULKDEL_CONFIG to yours",
            )
        there = ", ".join(self.accounts) or "none"
        raise NotFound(
            f"no account {shown(name)} in {self.path}{did_you_mean(name, self.accounts)}",
            fix=f"the accounts are: {there}",
        )

    def shared_purse(self, name: str) -> Purse:
        """A shared purse; our share of it is the smallest of the accounts that share it."""
        sharers = [account for account in self.accounts.values() if account.purse == name]
        return self.shared[name].as_purse(
            name,
            rate_share=min((account.rate_share for account in sharers), default=0.9),
            day_share=min((account.day_share for account in sharers), default=0.8),
        )


class File(Section):
    """The whole of `bulkdel.toml`."""

    accounts: Annotated[dict[str, Account], BeforeValidator(named)] = Field(
        default={}, description="The accounts, by name."
    )
    purses: Annotated[dict[str, SharedPurse], BeforeValidator(named)] = Field(
        default={}, description="Limits that accounts share, by name."
    )
    policies: Annotated[dict[str, Policy], BeforeValidator(named)] = Field(
        default={}, description="Scheduled cleanups, by name."
    )

    @model_validator(mode="after")
    def _refer(self) -> Self:
        for name, account in self.accounts.items():
            if account.purse is not None and account.purse not in self.purses:
                raise no_such("purse", account.purse, self.purses, ("accounts", name, "purse"))
        for name, policy in self.policies.items():
            if policy.account not in self.accounts:
                under = ("policies", name, "account")
                raise no_such("account", policy.account, self.accounts, under)
        if both := sorted(self.purses.keys() & self.accounts.keys()):
            raise fault(
                "has the name of an account, whose own purse is called so",
                under=("purses", both[0]),
            )
        return self


def load(path: Path) -> Config:
    """Read the file; a missing one is an empty Config.

    Raises InvalidInput naming file, table, key and, where it can be found, the line.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        tables = tomllib.loads(text)
    except FileNotFoundError:
        return Config(path=path, found=False)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        broken = not_toml(path, error)
    else:
        return _checked(path, text, tables)
    # Raised outside of the handler: the context of an error must not hold what was read.
    raise broken


def _checked(path: Path, text: str, tables: Mapping[str, Any]) -> Config:
    try:
        file = File.model_validate(tables)
    except ValidationError as error:
        broken = explain(error, root=File, path=path, text=text, tables=tables)
    else:
        return Config(
            path=path, accounts=file.accounts, shared=file.purses, policies=file.policies
        )
    raise broken
