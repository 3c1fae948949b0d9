"""What `init` has to know: from its flags, else from a person, else by default; each checked."""

from collections.abc import Callable

from worker.cli.output import Output

Check = Callable[[str], object]
PROVIDERS = ("zoho_books", "truto")


class Answers:
    """A person is asked again until an answer is right; a flag that is wrong ends it."""

    def __init__(self, out: Output, *, asks: bool) -> None:
        self._out = out
        self._asks = asks

    def get(self, given: str | None, question: str, check: Check, *, default: str = "") -> str:
        """The answer as it was checked. Raises InvalidInput for a flag or a default."""
        if given is None and self._asks:
            return self._asked(question, check, default)
        answer = (default if given is None else given).strip()
        check(answer)
        return answer

    def _asked(self, question: str, check: Check, default: str) -> str:
        from worker.domain.errors import InvalidInput

        hint = f" [{default}]" if default else ""
        while True:
            answer = self._out.ask(f"{question}{hint}:") or default
            try:
                check(answer)
            except InvalidInput as wrong:
                self._out.say(f"  {wrong.what}")
                self._out.say(f"  {wrong.fix}")
            else:
                return answer


def provider(said: str) -> None:
    """Raise InvalidInput unless `init` can write an account of this provider."""
    from worker.domain.errors import InvalidInput

    if said not in PROVIDERS:
        raise InvalidInput(f"no provider {said!r}", fix=f"there are: {', '.join(PROVIDERS)}")


def name(said: str) -> None:
    """Raise InvalidInput unless an account can be called so."""
    import re

    from worker.config.fields import NAME
    from worker.domain.errors import InvalidInput

    if not re.fullmatch(NAME, said, re.ASCII):
        raise InvalidInput(
            f"{said!r} cannot be the name of an account",
            fix="a-z, 0-9, - and _, at most 63, a letter or digit first",
        )


def base_url(provider: str) -> Check:
    """What raises InvalidInput unless an API of this provider can be there."""
    from worker.config.ours import ORGANIZATION_PARAM, ZOHO_BOOKS
    from worker.config.values import parse_base_url
    from worker.domain.errors import InvalidInput

    def check(said: str) -> None:
        url = _parsed("--base-url", parse_base_url, said)
        if provider == ZOHO_BOOKS and url.rpartition("/")[2] not in ORGANIZATION_PARAM:
            raise InvalidInput(
                "--base-url names no version of Zoho Books",
                fix=f"let it end with one of: {', '.join(f'/{v}' for v in ORGANIZATION_PARAM)}",
            )

    return check


def selected(flag: str) -> Check:
    """What raises InvalidInput unless it can be the id that this flag takes."""
    import re

    from worker.config.fields import ID
    from worker.domain.errors import InvalidInput

    def check(said: str) -> None:
        if not said:
            raise InvalidInput(f"{flag} is needed", fix=f"bulkdel init {flag} …")
        if not re.fullmatch(ID, said, re.ASCII):
            raise InvalidInput(f"{flag} is no id", fix="letters, digits, - and _, at most 64")

    return check


def token(said: str) -> None:
    """Raise InvalidInput unless it says where a secret is. It may be one: it is not repeated."""
    from worker.config.values import parse_reference

    _parsed("--token", parse_reference, said)


def _parsed(flag: str, parse: Callable[[object], str], said: str) -> str:
    from worker.domain.errors import InvalidInput

    try:
        return parse(said)
    except InvalidInput as error:
        wrong = InvalidInput(f"{flag} {error.what}", fix=error.fix)
    raise wrong
