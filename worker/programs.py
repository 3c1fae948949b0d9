"""The command lines of the processes that work. Celery itself is imported by them alone."""

import sys


def worker_argv(concurrency: int) -> list[str]:
    """The command line of a Celery worker of ours."""
    options = ["--pool", "threads", "--concurrency", str(concurrency)]
    quiet = [
        "--loglevel",
        "WARNING",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]
    celery = [sys.executable, "-m", "celery", "-A", "worker.app", "--quiet", "worker"]
    return [*celery, *options, *quiet]


def beat_argv() -> list[str]:
    """The command line of celery beat; it keeps no file, as the database knows what was run."""
    celery = [sys.executable, "-m", "celery", "-A", "worker.app", "--quiet", "beat"]
    return [*celery, "--loglevel", "WARNING", "--scheduler", "worker.clock:PolicyClock"]
