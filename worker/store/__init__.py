"""The queue of record and the audit log: SQLAlchemy lives here and nowhere else."""
