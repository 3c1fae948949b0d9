"""The desk as commands open it: by the environment, with a bell."""

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from worker.bootstrap import Desk
    from worker.config.settings import Settings
    from worker.ports import DoorBell


class SilentBell:
    """Rings nowhere: the workers' sweeps find the work."""

    def ring(self, account: str, after: timedelta = timedelta(0)) -> None:
        """Do nothing."""


class LateBell:
    """The workers' bell, made when it is first rung: what was refused before costs no import."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings

    def ring(self, account: str, after: timedelta = timedelta(0)) -> None:
        """Ask for a slice of this account."""
        from worker.app import CeleryBell

        CeleryBell(self._settings).ring(account, after)


def open_desk(*, changes: bool = False) -> "Desk":
    """The desk by the environment. Who only reads opens it without a broker.

    The bell may be handed in as the context's `obj`.
    """
    from worker.bootstrap import Desk
    from worker.config.settings import Settings

    bell: DoorBell | None = click.get_current_context().obj
    if bell is None:
        bell = LateBell(Settings.load(os.environ)) if changes else SilentBell()
    return Desk.open(os.environ, bell)
