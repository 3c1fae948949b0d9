"""How an account's provider is reached.

Whoever reads the database alone does without it: a client takes longer to import than most
commands to run.
"""

from collections.abc import Callable
from functools import partial

from worker.config.accounts import Account
from worker.domain.options import check
from worker.ports import TokenStore
from worker.providers.oauth import OAuthTokens
from worker.providers.requests import Connection
from worker.providers.token_server import TokenServer
from worker.providers.tokens import TokenSource
from worker.wiring import bulk_for, dialect_for, login_of, secret_of


def connection_of(account: Account, tokens: TokenStore) -> Connection:
    """How to reach the account's provider; its secrets are read at each call."""
    dialect = dialect_for(account)
    return Connection(
        name=account.name,
        base_url=account.base_url,
        dialect=dialect,
        selector=account.organization_param,
        selector_value=account.selector_value,
        token=token_source(account, tokens),
        in_flight=min(account.limits.in_flight, 100),
        deadline=account.call_timeout,
        bulk=bulk_for(account),
        options=check(dialect.options, account.options),
    )


def token_source(account: Account, tokens: TokenStore) -> TokenSource | Callable[[], str]:
    """Where the token of each call comes from; access tokens are shared in `tokens`."""
    if account.oauth is None:
        return partial(secret_of, account)
    where = account.oauth.refresh_token
    return OAuthTokens(partial(login_of, account.oauth), tokens, TokenServer(), where=where)
