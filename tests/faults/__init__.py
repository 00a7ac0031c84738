"""Faults from outside: what the network, the API server or a SIGKILL may do to irkit."""
