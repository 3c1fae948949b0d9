"""Compares items with audit entries: each settled item has exactly one entry with its outcome."""

from typing import Any

from sqlalchemy import Connection, text

from worker.domain.outcomes import Outcome

# Entries are summed up first: joined one by one, a long job would take for ever on SQLite.
_SETTLED = """
SELECT i.id, i.job_id, i.outcome, coalesce(e.number, 0) AS number, e.outcome AS written
FROM items AS i LEFT JOIN (
    SELECT item_id, job_id, count(*) AS number, max(outcome) AS outcome
    FROM audit_entries WHERE outcome IS NOT NULL {of_job} GROUP BY item_id, job_id
) AS e ON e.item_id = i.id AND e.job_id = i.job_id
WHERE i.state = 'settled' {of_item}
  AND (coalesce(e.number, 0) <> 1 OR i.outcome IS NULL OR i.outcome <> e.outcome)
ORDER BY i.id LIMIT :shown
"""
_CLAIMS = """
SELECT e.chain, e.seq, e.outcome, e.item_id, i.state
FROM audit_entries AS e LEFT JOIN items AS i ON i.id = e.item_id AND i.job_id = e.job_id
WHERE e.outcome IS NOT NULL AND (i.id IS NULL OR i.state <> 'settled') {of_job}
ORDER BY e.id LIMIT :shown
"""
_SUMS = """
SELECT i.job_id, count(*) AS total, count(i.outcome) AS ended,
    sum(CASE WHEN i.state = 'settled' THEN 1 ELSE 0 END) AS settled,
    sum(CASE WHEN i.outcome IN ({outcomes}) THEN 1 ELSE 0 END) AS known
FROM items AS i WHERE 1 = 1 {of_item} GROUP BY i.job_id
HAVING count(i.outcome) <> sum(CASE WHEN i.state = 'settled' THEN 1 ELSE 0 END)
    OR count(i.outcome) <> sum(CASE WHEN i.outcome IN ({outcomes}) THEN 1 ELSE 0 END)
ORDER BY i.job_id LIMIT :shown
"""
_SILENT = """
SELECT j.id FROM jobs AS j WHERE NOT EXISTS (
    SELECT 1 FROM audit_entries AS e WHERE e.job_id = j.id
) {of_row} ORDER BY j.id LIMIT :shown
"""


def item_problems(connection: Connection, job_id: str | None, *, limit: int) -> list[str]:
    """What items and entries (of one job, or of all) do not agree on, in sentences."""
    if connection.dialect.name == "postgresql":
        # Tables that have just grown look small to the planner, which then compares every item
        # with every entry.
        connection.exec_driver_sql("SET LOCAL enable_nestloop = off")

    def rows(statement: str) -> list[Any]:
        parts = dict.fromkeys(("of_job", "of_item", "of_row"), "")
        if job_id is not None:
            parts = {
                "of_job": "AND job_id = :job" if statement is _SETTLED else "AND e.job_id = :job",
                "of_item": "AND i.job_id = :job",
                "of_row": "AND j.id = :job",
            }
        outcomes = ", ".join(f"'{outcome}'" for outcome in Outcome)
        query = text(statement.format(outcomes=outcomes, **parts))
        asked = {"shown": limit} | ({} if job_id is None else {"job": job_id})
        return list(connection.execute(query, asked))

    return [
        *(f"job {row.id} has no audit entries" for row in rows(_SILENT)),
        *map(_of_settled, rows(_SETTLED)),
        *map(_of_claim, rows(_CLAIMS)),
        *map(_of_sum, rows(_SUMS)),
    ]


def _of_settled(row: Any) -> str:  # noqa: ANN401  a row
    name = f"item {row.id} of job {row.job_id}"
    if row.number == 0:
        return f"{name} ended as {row.outcome}, but no entry says so"
    if row.number > 1:
        return f"{name} has {row.number} entries with an outcome"
    return f"{name} ended as {row.outcome}, but its entry says {row.written}"


def _of_claim(row: Any) -> str:  # noqa: ANN401  a row
    state = "does not exist" if row.state is None else f"is {row.state}"
    return f"entry {row.seq} of {row.chain} says {row.outcome}, but item {row.item_id} {state}"


def _of_sum(row: Any) -> str:  # noqa: ANN401  a row
    return (
        f"the counts of job {row.job_id} do not add up: of {row.total} items {row.settled} are "
        f"settled, {row.ended} have an outcome and {row.known} one that there is"
    )
