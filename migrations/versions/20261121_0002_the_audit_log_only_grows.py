"""The audit log only grows: triggers refuse all but the next entry of a chain.

A head may not go back either, so that entries cut off the end of a chain are missed.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

GENESIS = "0" * 64

SQLITE_UP = (
    """
    CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries
    BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END
    """,
    """
    CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
    BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END
    """,
    # An INSERT OR REPLACE deletes without a word where recursive_triggers is off.
    """
    CREATE TRIGGER audit_entries_no_replace BEFORE INSERT ON audit_entries
    WHEN EXISTS (SELECT 1 FROM audit_entries WHERE chain = NEW.chain AND seq = NEW.seq)
      OR EXISTS (SELECT 1 FROM audit_entries WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'audit entries are never replaced'); END
    """,
    f"""
    CREATE TRIGGER audit_entries_next_only BEFORE INSERT ON audit_entries
    WHEN NOT (NEW.seq = 1 AND NEW.prev_hash = '{GENESIS}')
     AND NOT EXISTS (
        SELECT 1 FROM audit_entries
        WHERE chain = NEW.chain AND seq = NEW.seq - 1 AND hash = NEW.prev_hash
    )
    BEGIN SELECT RAISE(ABORT, 'an audit entry must follow the last one of its chain'); END
    """,  # noqa: S608  a constant
    """
    CREATE TRIGGER chain_heads_forward_only BEFORE UPDATE ON chain_heads
    WHEN NEW.chain <> OLD.chain OR NEW.seq < OLD.seq
      OR (NEW.seq = OLD.seq AND NEW.hash <> OLD.hash)
    BEGIN SELECT RAISE(ABORT, 'the head of an audit chain never goes back'); END
    """,
    """
    CREATE TRIGGER chain_heads_no_delete BEFORE DELETE ON chain_heads
    BEGIN SELECT RAISE(ABORT, 'the head of an audit chain is never deleted'); END
    """,
    # Ignored, not refused: making a head that is there already must go on doing nothing.
    """
    CREATE TRIGGER chain_heads_no_replace BEFORE INSERT ON chain_heads
    WHEN EXISTS (SELECT 1 FROM chain_heads WHERE chain = NEW.chain)
    BEGIN SELECT RAISE(IGNORE); END
    """,
)

SQLITE_DOWN = (
    "DROP TRIGGER chain_heads_no_replace",
    "DROP TRIGGER chain_heads_no_delete",
    "DROP TRIGGER chain_heads_forward_only",
    "DROP TRIGGER audit_entries_next_only",
    "DROP TRIGGER audit_entries_no_replace",
    "DROP TRIGGER audit_entries_no_delete",
    "DROP TRIGGER audit_entries_no_update",
)

POSTGRESQL_UP = (
    """
    CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% of % is refused: the audit log only grows', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END $$
    """,
    # The subquery stands alone so that it is looked up by index, row by row, whatever the
    # planner believed about the table's size when it made (and kept) its plan.
    f"""
    CREATE FUNCTION audit_next_only() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
    BEGIN
        IF EXISTS (
            SELECT 1 FROM fresh WHERE fresh.prev_hash IS DISTINCT FROM CASE
                WHEN fresh.seq = 1 THEN '{GENESIS}'
                ELSE (
                    SELECT before.hash FROM audit_entries AS before
                    WHERE before.chain = fresh.chain AND before.seq = fresh.seq - 1
                )
            END
        ) THEN
            RAISE EXCEPTION 'an audit entry must follow the last one of its chain'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NULL;
    END $$
    """,  # noqa: S608  a constant
    """
    CREATE FUNCTION chain_heads_forward_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the head of an audit chain never goes back'
            USING ERRCODE = 'integrity_constraint_violation';
    END $$
    """,
    """
    CREATE TRIGGER audit_entries_no_change BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_refuse()
    """,
    """
    CREATE TRIGGER audit_entries_no_truncate BEFORE TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
    """,
    """
    CREATE TRIGGER audit_entries_next_only AFTER INSERT ON audit_entries
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION audit_next_only()
    """,
    """
    CREATE TRIGGER chain_heads_forward_only BEFORE UPDATE ON chain_heads
    FOR EACH ROW WHEN (
        NEW.chain <> OLD.chain OR NEW.seq < OLD.seq
        OR (NEW.seq = OLD.seq AND NEW.hash <> OLD.hash)
    ) EXECUTE FUNCTION chain_heads_forward_only()
    """,
    """
    CREATE TRIGGER chain_heads_no_delete BEFORE DELETE ON chain_heads
    FOR EACH ROW EXECUTE FUNCTION audit_refuse()
    """,
    """
    CREATE TRIGGER chain_heads_no_truncate BEFORE TRUNCATE ON chain_heads
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
    """,
)

POSTGRESQL_DOWN = (
    "DROP TRIGGER chain_heads_no_truncate ON chain_heads",
    "DROP TRIGGER chain_heads_no_delete ON chain_heads",
    "DROP TRIGGER chain_heads_forward_only ON chain_heads",
    "DROP TRIGGER audit_entries_next_only ON audit_entries",
    "DROP TRIGGER audit_entries_no_truncate ON audit_entries",
    "DROP TRIGGER audit_entries_no_change ON audit_entries",
    "DROP FUNCTION chain_heads_forward_only()",
    "DROP FUNCTION audit_next_only()",
    "DROP FUNCTION audit_refuse()",
)


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_UP if sqlite else POSTGRESQL_UP:
        op.execute(statement)


def downgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_DOWN if sqlite else POSTGRESQL_DOWN:
        op.execute(statement)
