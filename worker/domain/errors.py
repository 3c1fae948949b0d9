"""The tree of our errors. A failed provider call is never one of them: that is a verdict.

BulkdelError
├── InvalidInput          wrong usage or input; nothing was done              exit 2
│   └── KeyReused         the idempotency key belongs to another request      exit 2
├── NotFound              no such job, item, account                          exit 2
├── CredentialsMissing    a secret cannot be read, or the provider refused it exit 4
├── Refused               a guard said no; nothing was deleted                exit 5
│   └── Tampered          the audit chain does not verify                     exit 5
├── Unreachable           database, broker, worker or provider is not there   exit 9
├── LeaseLost             somebody else holds the account now
└── IllegalMove           a state change that is not in the table: our bug    exit 1
"""


class BulkdelError(Exception):
    """Root of everything we raise; `fix` says what to do about it."""

    exit_code = 1

    def __init__(self, what: str, *, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


class InvalidInput(BulkdelError):
    """Wrong usage or input; nothing was done."""

    exit_code = 2


class KeyReused(InvalidInput):
    """The idempotency key belongs to another request."""


class NotFound(InvalidInput):
    """There is no such job, item or account."""


class CredentialsMissing(BulkdelError):
    """A secret cannot be read, or the provider refused it."""

    exit_code = 4


class Refused(BulkdelError):
    """A guard said no; nothing was deleted."""

    exit_code = 5


class Tampered(Refused):
    """The audit chain does not verify."""


class Unreachable(BulkdelError):
    """Database, broker, worker or provider cannot be reached."""

    exit_code = 9


class LeaseLost(BulkdelError):
    """Somebody else holds the account now: nothing more may be written under this token."""


class IllegalMove(BulkdelError):
    """A state change that is not in the table of moves."""
