"""The systems an account may be of: what each asks of the sandbox, and of bulkdel.toml."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.acceptance.stack import TOKEN, Stack

Lines = tuple[str, ...]
CLIENT, SECRET = "1000.SANDBOXCLIENT", "sandbox-client-secret"
REMOTE_SECRET = "remote canary/+7f3a"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One way to reach a provider. `lines` makes the account there, and says how to reach it."""

    organization: Callable[[int], str]  # by the number of the account
    lines: Callable[[Stack, str], Lines]


def _zoho(number: int) -> str:
    return f"7000{number}"


def _uuid(number: int) -> str:
    return f"62f44730-dd91-461e-bd6a-{number:012d}"


ZOHO_V4 = System(organization=_zoho, lines=lambda _stack, _organization: ())
ZOHO_V3 = System(
    organization=_zoho,
    lines=lambda stack, _organization: (f'base_url = "{stack.origin}/books/v3"',),
)


def truto(provider: str, *, token: str = TOKEN) -> System:
    """Truto, with Capsule or Pipeliner behind it, and nothing that limits it."""

    def lines(stack: Stack, organization: str) -> Lines:
        control = stack.control
        control.truto(organization, token=token, provider=provider, remote_secret=REMOTE_SECRET)
        control.limits(organization, windows=[])
        control.purse(token, windows=[])
        return (
            'provider = "truto"',
            f'base_url = "{stack.origin}"',
            f'dialect = "{provider}"',
            f'integrated_account_id = "{organization}"',
        )

    return System(organization=_uuid, lines=lines)


def with_token(system: System, token: str) -> System:
    """The same with a token of its own, which lies in a file."""

    def lines(stack: Stack, organization: str) -> Lines:
        path = stack.home / f"{organization}.token"
        path.write_text(token, encoding="utf-8")
        given = system.lines(stack, organization)
        if 'provider = "truto"' not in given:
            stack.control.organization(organization, token=token)
        return (*given, f'token = "file:{path}"')

    return replace(system, lines=lines)


def with_oauth(system: System, consent: "Consent") -> System:
    """The same, reached with the access tokens of a consent."""
    return replace(
        system,
        lines=lambda stack, organization: (
            *system.lines(stack, organization),
            consent.line(stack),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a person agreed to: a refresh token, in a file that several accounts may share."""

    name: str

    def give(self, stack: Stack, refresh_token: str, *organizations: str, life: float) -> None:
        """Agree (anew) to calls for these organisations, with tokens that live so many seconds."""
        stack.control.oauth(
            organizations,
            client_id=CLIENT,
            client_secret=SECRET,
            refresh_token=refresh_token,
            lifetime=life,
        )
        fresh = stack.home / f"{self.name}.new"
        fresh.write_text(refresh_token, encoding="utf-8")
        fresh.replace(stack.home / self.name)

    def line(self, stack: Stack) -> str:
        """How bulkdel.toml says it."""
        for name, value in (("client", CLIENT), ("secret", SECRET)):
            (stack.home / f"{self.name}.{name}").write_text(value, encoding="utf-8")
        place = f"file:{stack.home / self.name}"
        return (
            f'oauth = {{ client_id = "{place}.client", client_secret = "{place}.secret", '
            f'refresh_token = "{place}", token_url = "{stack.origin}/oauth/v2/token" }}'
        )
