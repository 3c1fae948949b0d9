"""Celery's settings. A message is a doorbell: acked early, JSON only, no result, no long waits.

URLs come from the environment (BULKDEL_REDIS_URL, BULKDEL_BROKER_URL); `worker.app` adds them.
"""

# Doorbells carry ids and may be lost or doubled without harm, so they are acked before they run.
task_acks_late = False
task_ignore_result = True
task_store_errors_even_if_ignored = False
result_backend = None

accept_content = ["json"]
task_serializer = "json"
result_serializer = "json"
event_serializer = "json"

# Celery's own default, so that another service's plain `send_task("bulkdel.submit", …)` arrives.
task_default_queue = "celery"
task_create_missing_queues = True
worker_prefetch_multiplier = 1
worker_hijack_root_logger = False
worker_send_task_events = False
worker_cancel_long_running_tasks_on_connection_loss = False
worker_enable_remote_control = True
worker_lost_wait = 5.0
worker_eta_task_limit = 1_000

broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_pool_limit = 10

# No countdown is longer than 60 s, so nothing waits unacked for longer than this.
visibility_timeout = 300
broker_transport_options = {
    "visibility_timeout": visibility_timeout,
    "max_retries": 0,  # a ring that cannot be sent is given up at once; the consumer has its own
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
}
