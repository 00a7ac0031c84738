"""Alerts in a channel, as other tools post them (data/)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from irkit.listeners.slack.alerts import Candidate

DATA = Path(__file__).parent / "data"
BACKEND = Candidate("backend-7c7c86686d-7l8d8", "todo-app")


def alert(name: str) -> dict[str, Any]:
    """The message as that tool writes it."""
    text = (DATA / name).read_text()
    found: dict[str, Any] = json.loads(text) if name.endswith(".json") else {"text": text}
    return {"type": "message", "ts": "1699999999.000100", "bot_id": "B0ALERT", **found}
