"""Why nobody is believed."""

from __future__ import annotations

from irkit.errors import IrkitError


class Unauthenticated(IrkitError):
    """In one sentence that helps whoever sets up a sender and no one who guesses."""
