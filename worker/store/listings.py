"""How far the listing of a job is, as its row keeps it."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, update

from worker.ports import Job, ListingProgress, PlanFacts
from worker.store.models import JOBS
from worker.store.rows import BULK, PLAN


def write_listing(conn: Connection, job: Job, listing: ListingProgress, now: datetime) -> None:
    """Write down where a job stands after a page."""
    values = {
        "list_cursor": listing.cursor,
        "list_pages": listing.pages,
        "list_tries": listing.tries,
        "list_due_at": now + listing.after if listing.after else None,
        "list_token": 0,
        "account_projects": JOBS.c.account_projects + listing.projects,
    }
    if listing.bulk is not None:
        values["bulk"] = BULK.dump_json(listing.bulk).decode()
    if listing.strays or listing.believed:
        values["plan"] = PLAN.dump_json(_counted(job.plan, listing)).decode()
    conn.execute(update(JOBS).where(JOBS.c.id == job.id).values(values))


def _counted(plan: PlanFacts, listing: ListingProgress) -> PlanFacts:
    strays, believed = plan.strays + listing.strays, plan.believed + listing.believed
    return replace(plan, strays=strays, believed=believed)
