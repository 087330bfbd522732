"""Lessons and proposals: what went wrong becomes policy."""
