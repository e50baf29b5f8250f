"""Libraries are told to send no figures of use to whoever made them."""

import os
from collections.abc import MutableMapping
from typing import Final

__all__ = ["keep_private"]

_SWITCHES: Final = {
    "DO_NOT_TRACK": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def keep_private(environment: MutableMapping[str, str] = os.environ) -> None:
    """Switch telemetry off, in this process and those it starts; what is set already stays.

    Libraries look at these variables when they are imported, so this comes first.
    """
    for name, value in _SWITCHES.items():
        environment.setdefault(name, value)
