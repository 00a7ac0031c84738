"""The controllers of the rehearsal cluster, each one file and one function from the store's state to its next writes.

Each is written after the real one that its docstring names, and called again until nothing changes.
"""
