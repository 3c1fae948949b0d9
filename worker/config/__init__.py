"""Settings from the environment, and accounts from `bulkdel.toml`."""
