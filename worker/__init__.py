"""Bulk deletions against provider APIs: planned, rate limited, crash-safe, audited."""

from importlib import import_module


def __getattr__(name: str) -> object:
    """The Celery application, for `celery -A worker`; made when asked for, not before."""
    if name == "celery":
        return import_module("worker.app").app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
