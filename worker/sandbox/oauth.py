"""The office that gives out access tokens: who may have one, how many live, how often."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

from worker.sandbox.limits import Count, Seconds


class Denial(StrEnum):
    """Why there is no token; the value is the provider's own word."""

    CLIENT = "invalid_client"  # nobody knows this client, or its secret is another
    CODE = "invalid_code"  # the refresh token is dead: somebody has to consent again
    TOO_OFTEN = "Access Denied"  # too many refreshes in the window
    GRANT_TYPE = "unsupported_grant_type"  # not a refresh


@checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Grant:
    """A consent: which client may act in which organisations with which refresh token.

    `keep_static`: the fixed token of the organisations stays good beside the ones given out.
    """

    organization_ids: Annotated[tuple[str, ...], Field(min_length=1)]
    client_id: str
    client_secret: str
    refresh_token: str
    lifetime: Seconds = 3600.0
    live_tokens: Count = 15
    refreshes: Count = 10
    window: Seconds = 600.0
    api_domain: str = "https://www.zohoapis.com"
    error_status: Annotated[int, Field(ge=200, le=499)] = 200
    keep_static: bool = False


@dataclass(slots=True, kw_only=True)
class Holder:
    """A grant in use: its living tokens (oldest first), and when it was refreshed or denied."""

    grant: Grant
    is_revoked: bool = False
    ends_by_token: dict[str, float] = field(default_factory=dict)
    refreshed_at: list[float] = field(default_factory=list)
    denied: list[tuple[float, Denial]] = field(default_factory=list)

    def refresh(self, now: float) -> str | Denial:
        """A new access token; one too many ends the oldest."""
        denial = self._denial(now)
        if denial is not None:
            self.denied.append((now, denial))
            return denial
        self.refreshed_at.append(now)
        self._forget(now)
        while len(self.ends_by_token) >= self.grant.live_tokens:
            del self.ends_by_token[next(iter(self.ends_by_token))]
        token = f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
        self.ends_by_token[token] = now + self.grant.lifetime
        return token

    def stats(self, now: float) -> dict[str, Any]:
        """What was asked and given; `peak` is the most refreshes in any window of the grant."""
        self._forget(now)
        return {
            "organization_ids": list(self.grant.organization_ids),
            "client_id": self.grant.client_id,
            "refresh_token": self.grant.refresh_token,
            "is_revoked": self.is_revoked,
            "live": len(self.ends_by_token),
            "refreshes": len(self.refreshed_at),
            "refreshed_at": self.refreshed_at[:],
            "peak": _peak(self.refreshed_at, self.grant.window),
            "window": self.grant.window,
            "denied": [{"at": at, "error": str(denial)} for at, denial in self.denied],
        }

    def _denial(self, now: float) -> Denial | None:
        if self.is_revoked:
            return Denial.CODE
        recent = [at for at in self.refreshed_at if at > now - self.grant.window]
        return Denial.TOO_OFTEN if len(recent) >= self.grant.refreshes else None

    def _forget(self, now: float) -> None:
        for token in [token for token, end in self.ends_by_token.items() if end <= now]:
            del self.ends_by_token[token]


class OAuth:
    """Every grant, by refresh token and by organisation."""

    def __init__(self) -> None:
        self._holders: dict[str, Holder] = {}

    def register(self, grant: Grant) -> None:
        """Make a grant, or one anew under the same refresh token."""
        self._holders[grant.refresh_token] = Holder(grant=grant)

    def revoke(self, refresh_token: str, *, tokens_too: bool) -> None:
        """End a grant for ever, its living tokens with it if so told; KeyError if unknown."""
        holder = self._holders[refresh_token]
        holder.is_revoked = True
        if tokens_too:
            holder.ends_by_token.clear()

    def expire(self, refresh_token: str | None) -> int:
        """End every living access token (of one grant); what is returned is how many."""
        holders = [
            holder for token, holder in self._holders.items() if refresh_token in (None, token)
        ]
        ended = sum(len(holder.ends_by_token) for holder in holders)
        for holder in holders:
            holder.ends_by_token.clear()
        return ended

    def holder(self, client_id: str, client_secret: str, refresh_token: str) -> Holder | Denial:
        """The grant a refresh is about, or why there is none."""
        clients = {(h.grant.client_id, h.grant.client_secret) for h in self._holders.values()}
        if (client_id, client_secret) not in clients:
            return Denial.CLIENT
        holder = self._holders.get(refresh_token)
        if holder is None:
            return Denial.CODE
        is_theirs = (holder.grant.client_id, holder.grant.client_secret) == (
            client_id,
            client_secret,
        )
        return holder if is_theirs else Denial.CODE

    def caller(self, access_token: str, organization_id: str, now: float) -> str | None:
        """The refresh token behind a living access token for an organisation, if it is one."""
        for refresh_token, holder in self._holders.items():
            end = holder.ends_by_token.get(access_token)
            if end is not None:
                is_good = end > now and organization_id in holder.grant.organization_ids
                return refresh_token if is_good else None
        return None

    def governs(self, organization_id: str) -> bool:
        """True if an organisation takes only tokens that were given out."""
        return any(not holder.grant.keep_static for holder in self._of(organization_id))

    def callers(self, organization_id: str) -> list[str]:
        """The refresh tokens of an organisation, the newest last."""
        return [holder.grant.refresh_token for holder in self._of(organization_id)]

    def stats(self, now: float) -> list[dict[str, Any]]:
        """What every grant was asked for."""
        return [holder.stats(now) for holder in self._holders.values()]

    def _of(self, organization_id: str) -> Iterable[Holder]:
        return (
            holder
            for holder in self._holders.values()
            if organization_id in holder.grant.organization_ids
        )


def _peak(times: list[float], window: float) -> int:
    """The most of these times (in order) that ever lay in one window."""
    peak = start = 0
    for end, at in enumerate(times):
        while times[start] <= at - window:
            start += 1
        peak = max(peak, end - start + 1)
    return peak
