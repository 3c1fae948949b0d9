"""Policies and their slots; the audit log's indexes in the order in which it is read."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ENTRIES = "audit_entries"
EVERY = {"at": (), "account_at": ("account",), "external_id": ("external_id",)} | {
    name: (name,) for name in ("actor", "kind")
}
SOME = ("job_id", "item_id", "outcome")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("policy", sa.String(length=63), nullable=True))
    is_one = sa.text("policy is not null")
    op.create_index(
        "ix_jobs_policy",
        "jobs",
        ["policy", "created_at"],
        unique=False,
        postgresql_where=is_one,
        sqlite_where=is_one,
    )
    op.create_table(
        "policies",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("through", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_policies")),
    )
    op.create_table(
        "policy_slots",
        sa.Column("policy", sa.String(length=63), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.String(length=16), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=True),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("policy", "slot", name=op.f("pk_policy_slots")),
    )
    for name in ("account_at", "external_id", "job_id"):
        op.drop_index(f"ix_{ENTRIES}_{name}", table_name=ENTRIES)
    for name, columns in EVERY.items():
        op.create_index(f"ix_{ENTRIES}_{name}", ENTRIES, [*columns, "at", "id"], unique=False)
    for name in SOME:
        there = sa.text(f"{name} is not null")
        op.create_index(
            f"ix_{ENTRIES}_{name}",
            ENTRIES,
            [name, "at", "id"],
            unique=False,
            postgresql_where=there,
            sqlite_where=there,
        )


def downgrade() -> None:
    for name in (*EVERY, *SOME):
        op.drop_index(f"ix_{ENTRIES}_{name}", table_name=ENTRIES)
    op.create_index(f"ix_{ENTRIES}_account_at", ENTRIES, ["account", "at"], unique=False)
    for name in ("external_id", "job_id"):
        op.create_index(f"ix_{ENTRIES}_{name}", ENTRIES, [name], unique=False)
    op.drop_table("policy_slots")
    op.drop_table("policies")
    op.drop_index("ix_jobs_policy", table_name="jobs")
    op.drop_column("jobs", "policy")
