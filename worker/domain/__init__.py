"""The pure core: words, states and decisions. No clock, no I/O, no third party."""
