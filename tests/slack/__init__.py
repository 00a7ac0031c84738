"""Slack, as far as irkit uses it."""
