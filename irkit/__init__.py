"""irkit: contain a compromised pod, keep its evidence, and prove that it holds."""

__version__ = "0.1.0"
