"""Loader, binder, planner, preflight, approvals, executor, journal."""
