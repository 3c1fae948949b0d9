"""Doubles that say what they do; each is proven by the conformance suite of its port."""
