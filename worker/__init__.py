"""Bulk deletions against provider APIs: planned, rate limited, crash-safe, audited."""
