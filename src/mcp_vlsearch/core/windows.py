"""Names that mean something else than a file to Windows, told by their text alone.

Only to look such a name up can do harm: a share's server is told who the user is, a device is
opened. See https://learn.microsoft.com/windows/win32/fileio/naming-a-file.
"""

import re
from pathlib import PureWindowsPath
from typing import Final

__all__ = ["is_share", "why_refused"]

_DEVICES: Final = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])(?:[ .:].*)?", re.IGNORECASE
)


def is_share(text: str) -> bool:
    r"""Say whether a path leads to another machine: ``\\server\share``, in any spelling."""
    drive = PureWindowsPath(text).drive
    return drive.startswith("\\\\") and drive[2:4] not in ("?\\", ".\\")


def why_refused(text: str) -> str | None:
    """Return why a path may not be looked up, None if it may."""
    if text.replace("/", "\\").startswith(("\\\\?\\", "\\\\.\\", "\\??\\")):
        return "is the name of a device"
    path = PureWindowsPath(text)
    if path.drive and not path.root:
        return "has a drive but no folder"
    names = path.parts[1:] if path.anchor else path.parts
    if any(_DEVICES.fullmatch(name.rstrip(" .")) for name in names):
        return "is the name of a device"
    if any(":" in name for name in names):
        return "names a stream within a file"
    if any(name != name.rstrip(" .") for name in names if name != ".."):
        return "has a name that ends in a space or full stop"
    return None
