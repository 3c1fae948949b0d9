"""How a secret may be written, so that it can be looked for in all that a test left behind."""

import base64
import json
from urllib.parse import quote


def writings(secret: str) -> list[str]:
    """A secret as it may be written; base64 in each of the three places it may begin."""
    places = [base64.b64encode(b"\0" * n + secret.encode()).decode()[4:-4] for n in range(3)]
    hexed = secret.encode().hex()
    escaped = json.dumps(secret)[1:-1]
    return [secret, quote(secret, safe=""), repr(secret)[1:-1], escaped, hexed, *places]
