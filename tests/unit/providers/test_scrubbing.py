"""What looks like a credential is hidden, and nothing else."""

import pytest

from worker.providers.scrubbing import scrub


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Bearer abc.def-1", "Bearer [secret]"),
        ("sent zoho-oauthtoken 1000.x to it", "sent zoho-oauthtoken [secret] to it"),
        ('{"access_token":"abc","id":1}', '{"access_token":"[secret]","id":1}'),
        ("refresh_token=abc&x=1", "refresh_token=[secret]&x=1"),
        ('{\\"api_key\\": \\"abc\\"}', '{\\"api_key\\": \\"[secret]\\"}'),
        ("X-Api-Key: abc", "X-Api-Key: [secret]"),
        ("Authorization: Bearer abc", "Authorization: Bearer [secret]"),
        ("Basic bWU6aHVudGVyMg==", "Basic [secret]"),
        ("password: hunter2, retry", "password: [secret], retry"),
        ("https://me:hunter2@example.org/x", "https://[secret]@example.org/x"),
        ("Invalid token provided", "Invalid token provided"),
        ("The project has been deleted.", "The project has been deleted."),
        ("the basic plan: 1000 calls", "the basic plan: 1000 calls"),
    ],
)
def test_a_credential_is_hidden(text: str, said: str) -> None:
    assert scrub(text) == said
