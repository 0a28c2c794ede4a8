"""Fingerprints of code and values, and the content-addressed store of what was computed."""
