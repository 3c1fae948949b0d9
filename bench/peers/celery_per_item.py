"""What most people would write: one Celery task per item, after the manuals of its parts.

Celery: `acks_late` for an idempotent task, `ignore_result`, clients made in the worker and not
before the fork. httpx: one client for all calls, with its pool. SQLAlchemy: one engine a process,
a short transaction. Each item is committed by itself when its answer is there.
"""

import os
from functools import cache

import httpx
from celery import Celery
from sqlalchemy import Engine, create_engine, text

app = Celery("peer", broker=os.environ["PEER_BROKER"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_default_queue="peer",
    worker_prefetch_multiplier=int(os.environ.get("PEER_PREFETCH", "4")),
    broker_connection_retry_on_startup=True,
)

DONE = text(
    "UPDATE peer_items SET state = :state, http_status = :status, ended_at = now() WHERE id = :id"
)


@cache
def client() -> httpx.Client:
    """The process' own client, made on first use: after the fork."""
    return httpx.Client(
        base_url=os.environ["PEER_BASE_URL"],
        params={"organization-id": os.environ["PEER_ORGANIZATION"]},
        headers={"Authorization": "Zoho-oauthtoken peer"},
        timeout=15.0,
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=100),
    )


@cache
def engine() -> Engine:
    """The process' own connections."""
    return create_engine(os.environ["PEER_DATABASE"], pool_size=20, max_overflow=20)


@app.task(name="peer.delete", autoretry_for=(httpx.TransportError,), retry_backoff=True)
def delete(item_id: int, external_id: str) -> None:
    """Delete one project and write down how it ended."""
    answer = client().delete(f"/projects/{external_id}")
    state = "deleted" if answer.is_success else "failed"
    with engine().begin() as connection:
        connection.execute(DONE, {"state": state, "status": answer.status_code, "id": item_id})
