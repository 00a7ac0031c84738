"""Rules: which alerts become which orders."""
