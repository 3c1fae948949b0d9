"""Holds, approvals by a second person, and what a job keeps for its guards and breakers."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SECOND_PERSON = (
    "decision = '' or (lower(trim(approver)) <> lower(trim(submitter))"
    " and lower(trim(approver)) <> lower(trim(confirmer)) and trim(approver) <> '')"
)
COLUMNS = ("knobs", "stop_reason", "tally", "canary_until", "account_projects", "counting")


def upgrade() -> None:
    for name in ("tally", "knobs"):
        op.add_column("jobs", sa.Column(name, sa.Text(), server_default="{}", nullable=False))
    op.add_column("jobs", sa.Column("stop_reason", sa.Text(), server_default="", nullable=False))
    op.add_column("jobs", sa.Column("canary_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("account_projects", sa.Integer(), nullable=True))
    op.add_column(
        "jobs", sa.Column("counting", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_index("uq_jobs_id_actor", "jobs", ["id", "actor"], unique=True)
    op.create_table(
        "holds",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=63), nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_by", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    live = sa.text("removed_at is null")
    op.create_index(
        "ix_holds_live",
        "holds",
        ["account", "external_id"],
        unique=False,
        postgresql_where=live,
        sqlite_where=live,
    )
    op.create_table(
        "approvals",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("submitter", sa.Text(), nullable=False),
        sa.Column("confirmer", sa.Text(), nullable=False),
        sa.Column("plan_hash", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision", sa.String(length=16), server_default="", nullable=False),
        sa.Column("approver", sa.Text(), server_default="", nullable=False),
        sa.Column("os_user", sa.Text(), server_default="", nullable=False),
        sa.Column("host", sa.Text(), server_default="", nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(SECOND_PERSON, name=op.f("ck_approvals_second_person")),
        sa.CheckConstraint(
            "decision in ('', 'approved', 'rejected')", name=op.f("ck_approvals_decision")
        ),
        sa.ForeignKeyConstraint(
            ["job_id", "submitter"],
            ["jobs.id", "jobs.actor"],
            name=op.f("fk_approvals_job_id_submitter"),
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_approvals")),
    )


def downgrade() -> None:
    op.drop_table("approvals")
    op.drop_index("ix_holds_live", table_name="holds")
    op.drop_table("holds")
    op.drop_index("uq_jobs_id_actor", table_name="jobs")
    for name in COLUMNS:
        op.drop_column("jobs", name)
