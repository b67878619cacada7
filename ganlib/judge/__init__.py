"""Judging: metrics, what they look through, evaluation, and the doctor."""
