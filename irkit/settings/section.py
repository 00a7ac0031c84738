"""What all sections of the settings are."""

from __future__ import annotations

import msgspec


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Keys as in ``most-open``; one that is not known is a mistake."""
