"""${message}

It must run while the previous release works: add first, fill in, remove a release later.
Take the next number (`alembic revision --rev-id 0002 ...`) and put it into `SCHEMA` in
worker/store/engine.py. On SQLite a batch operation makes a table anew and drops its triggers:
make those of audit_entries and chain_heads again, as migration 0001 does.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision: str = ${repr(up_revision)}
down_revision: str | None = ${repr(down_revision)}
branch_labels: str | Sequence[str] | None = ${repr(branch_labels)}
depends_on: str | Sequence[str] | None = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
