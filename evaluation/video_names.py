"""Names of videos as one text: macOS writes letters with marks (as in "prüfung") in two parts, others in one."""

from __future__ import annotations

import unicodedata


def composed(name: str) -> str:
    """The name in Unicode's composed form (NFC), in which names are compared and written."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)
