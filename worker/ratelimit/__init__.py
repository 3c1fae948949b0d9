"""The gate: no call without a permit, across all processes together."""
