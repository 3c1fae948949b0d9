"""The audit log by event, and by outcome within a job and within an account."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ENTRIES = "audit_entries"
NEW = {
    "event": (("event",), "event <> 'call'"),
    "job_id_outcome": (("job_id", "outcome"), "outcome is not null"),
    "account_outcome": (("account", "outcome"), "outcome is not null"),
}


def upgrade() -> None:
    for name, (columns, condition) in NEW.items():
        op.create_index(
            f"ix_{ENTRIES}_{name}",
            ENTRIES,
            [*columns, "at", "id"],
            unique=False,
            postgresql_where=sa.text(condition),
            sqlite_where=sa.text(condition),
        )


def downgrade() -> None:
    for name in NEW:
        op.drop_index(f"ix_{ENTRIES}_{name}", table_name=ENTRIES)
