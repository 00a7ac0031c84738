"""irkit: cut a compromised pod off, keep its evidence, rotate what it knew, bring its workload back, and prove each."""

__version__ = "0.1.0"
API_VERSION = "irkit.dev/v1"
"""The ``apiVersion`` of every document that irkit reads or writes: playbooks, scenarios, results, reports."""
