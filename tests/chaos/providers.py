"""Faults of the provider and of the line to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.acceptance.site import Site
from tests.chaos.crashes import pause
from tests.chaos.drill import CALL_TIMEOUT, Drill
from tests.chaos.scene import Scene

REFRESH = "drill-refresh"
OAUTH = (
    'oauth = {{ client_id = "env:DRILL_CLIENT", client_secret = "env:DRILL_SECRET", '
    'refresh_token = "file:{file}", token_url = "{token_url}" }}'
)


def misbehave(*rules: dict[str, Any]) -> Callable[[Scene], None]:
    """From the middle of the job on the sandbox does this to its deletions."""

    def strike(scene: Scene) -> None:
        with scene.struck():
            told = [{**rule, "match": {"method": "DELETE"}} for rule in rules]
            scene.drill.stack.control.faults(told, seed=scene.told.seed)

    return strike


LOST = misbehave({"kind": "lost_after", "probability": 0.3})
ERROR = misbehave({"kind": "error_after", "probability": 0.3})
HTML = misbehave({"kind": "garbage", "body": "html", "probability": 0.1})
SLOW = misbehave({"kind": "slow", "seconds": CALL_TIMEOUT + 2, "probability": 0.1})
HUGE = misbehave({"kind": "oversize", "size": 100 << 20, "probability": 0.05, "count": 3})
GHOST = misbehave(
    {"kind": "lost_before", "probability": 0.1}, {"kind": "still_visible", "seconds": 10}
)


@dataclass(frozen=True, slots=True)
class Line:
    """Trouble on the way: the account goes through the bad line instead of straight."""

    trouble: str
    share: float

    def configure(self, drill: Drill, _: Site) -> tuple[str, ...]:
        return (f'base_url = "{drill.network.url}"',)

    def __call__(self, scene: Scene) -> None:
        network = scene.drill.network
        with scene.struck():
            network.makes(self.trouble, self.share, scene.told.seed)
            if self.trouble == "reset":  # kept connections have their handshake behind them
                network.drop()
        pause(6)
        scene.told.note = f"{network.hits} met it"
        if not network.hits:
            scene.told.intents = 0
        network.clears()
        scene.healed()


def with_tokens(drill: Drill, site: Site) -> tuple[str, ...]:
    """An account with access tokens that end; both accounts of a round share one grant."""
    secret = drill.home / f"refresh-{site.account}"
    secret.write_text(_refresh_of(site), encoding="ascii")
    _consent(drill, site, _refresh_of(site))
    origin = drill.stack.base_url.rpartition("/books")[0]
    asked = f"{origin}/oauth/v2/token"
    return (OAUTH.format(file=secret, token_url=asked),)


def _refresh_of(site: Site) -> str:
    return f"{REFRESH}-{site.organization}"


def _consent(drill: Drill, site: Site, refresh: str) -> None:
    drill.stack.control.oauth(
        [site.organization],
        client_id="drill",
        client_secret="drill-secret",
        refresh_token=refresh,
        lifetime=3600,
        refreshes=100,
    )


def tokens_end(scene: Scene) -> None:
    """Access tokens expire; then the consent is revoked, and a new one given after a while."""
    control = scene.drill.stack.control
    with scene.struck():
        for site in (scene.site, scene.beside):
            control.expire(_refresh_of(site))
    pause(2)
    for site in (scene.site, scene.beside):
        control.revoke(_refresh_of(site))
    pause(3)
    for site in (scene.site, scene.beside):
        fresh = f"{_refresh_of(site)}-again"
        _consent(scene.drill, site, fresh)
        (scene.drill.home / f"refresh-{site.account}").write_text(fresh, encoding="ascii")
        scene.drill.stack.run("accounts", "check", site.account)  # so that it is looked at now
    scene.healed()
