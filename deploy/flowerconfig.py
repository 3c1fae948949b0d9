"""Flower's settings: behind a password that stands in a file, or not at all.

Flower shows the workers and their pools. Jobs, plans, limits and the audit log it cannot know.
"""

import os
from pathlib import Path

address = os.environ.get("FLOWER_ADDRESS", "127.0.0.1")
port = int(os.environ.get("FLOWER_PORT", "5555"))
persistent = False
inspect_timeout = 2000.0

# One USER:PASSWORD; a file that is missing or empty ends Flower here, and nothing is open.
(_login,) = Path(os.environ["FLOWER_AUTH_FILE"]).read_text(encoding="utf-8").split()
if not all(_login.partition(":")):
    raise SystemExit("FLOWER_AUTH_FILE must hold USER:PASSWORD")
basic_auth = [_login]
