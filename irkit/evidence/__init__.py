"""Bags: written while streaming, verified by anybody."""
