"""Where a secret is, what it is just now, and whether it was replaced."""

import hashlib
import os
from pathlib import Path

from worker.domain.errors import CredentialsMissing

HOW = "a secret is given as env:NAME or file:PATH"
LONGEST = 65_536
DIGITS = 16


def resolve(reference: str) -> str:
    """The secret a reference names, read anew; CredentialsMissing if there is none."""
    scheme, _, place = reference.partition(":")
    match scheme:
        case "env" if place:
            secret, where = os.environ.get(place, ""), f"environment variable {place}"
            fix = f"export {place}=… where the workers start"
        case "file" if place:
            secret, where = _content(place), f"file {place}"
            fix = f"write the secret into {place}"
        case _:
            # Not repeated: somebody may have put the secret itself there.
            raise CredentialsMissing("a secret is not given by reference", fix=HOW)
    secret = secret.strip()
    if not secret:
        raise CredentialsMissing(f"{where} is not set or empty", fix=fix)
    return secret


def digest(secret: str) -> str:
    """Enough of a secret's hash to see that it was replaced, and too little to find it."""
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()[:DIGITS]}"


def _content(place: str) -> str:
    try:
        with Path(place).expanduser().open(encoding="utf-8") as file:
            return file.read(LONGEST)
    except (OSError, ValueError, RuntimeError) as error:
        raise CredentialsMissing(
            f"file {place} cannot be read ({type(error).__name__})",
            fix="create it, readable by the user who runs the workers",
        ) from error
