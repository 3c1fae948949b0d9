"""Run the sandbox: python -m worker.sandbox."""

from worker.sandbox.main import run

raise SystemExit(run())
