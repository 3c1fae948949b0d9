"""The use cases, a verb per module; they know ports and domain, and no library that does I/O."""
