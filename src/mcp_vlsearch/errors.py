"""Every error that reaches a user. Each message is one line that says what to do.

VLSearchError
├── SettingsError           a setting, flag or config file is wrong
├── PluginError             a plugin is unknown, clashes or can't be imported
│   └── MissingExtraError   it needs a package that an extra brings
├── EncoderError            the encoder can't encode
│   ├── CheckpointError     its checkpoint can't be loaded
│   ├── OutOfMemoryError    there is not enough memory to encode
│   ├── EncoderChangedError the library went over to another one meanwhile
│   └── UnreachableError    it runs elsewhere, and is not to be had there
├── RewriterError           a query can't be rewritten; it can still be searched as it is
├── LibraryError            the library can't be opened or used
│   └── LibraryBusyError    another process writes to it
├── RootError               a path lies outside the roots, or no root is allowed yet
├── ImageError              one picture can't be read
├── QueryError              a search can't be understood
├── ServerError             the MCP server can't start
├── ClientError             a client's configuration can't be read or changed
└── CancelledError          the caller asked to stop; what is done stays
"""

from typing import Final

__all__ = [
    "MEMORY_HAS_RUN_OUT",
    "CancelledError",
    "CheckpointError",
    "ClientError",
    "EncoderChangedError",
    "EncoderError",
    "ImageError",
    "LibraryBusyError",
    "LibraryError",
    "MissingExtraError",
    "OutOfMemoryError",
    "PluginError",
    "QueryError",
    "RewriterError",
    "RootError",
    "ServerError",
    "SettingsError",
    "UnreachableError",
    "VLSearchError",
]


MEMORY_HAS_RUN_OUT: Final = (
    "memory has run out: end other programs and try again; what is done so far stays"
)
"""What is said in place of a MemoryError, wherever it comes from."""


class VLSearchError(Exception):
    """Base of every error that mcp-vlsearch raises on purpose."""


class SettingsError(VLSearchError):
    """A setting, flag or config file is wrong."""


class PluginError(VLSearchError):
    """A plugin is unknown, registered twice or fails to import."""


class MissingExtraError(PluginError):
    """A plugin needs a package that is not installed; the message carries the pip line."""


class EncoderError(VLSearchError):
    """The encoder can't encode."""


class CheckpointError(EncoderError):
    """The checkpoint can't be found, read or fitted into memory."""


class OutOfMemoryError(EncoderError):
    """There is not enough memory to encode, whichever the pictures."""


class EncoderChangedError(EncoderError):
    """The library went over to another encoder meanwhile; a second try finds that one."""


class UnreachableError(EncoderError):
    """The encoder is not to be had at its address.

    Nobody answers there, or not in time; the connection broke off; we are refused; or another
    model or program is there now.
    """


class RewriterError(VLSearchError):
    """A rewriter can't write, or not in time; the query can still be searched as it is."""


class LibraryError(VLSearchError):
    """The library can't be opened or used."""


class LibraryBusyError(LibraryError):
    """Another process is writing to the library."""


class RootError(VLSearchError):
    """A path lies outside the roots, or no root is allowed yet."""


class ImageError(VLSearchError):
    """One picture can't be read; ``retry`` says that it may work another time."""

    def __init__(self, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.retry = retry


class QueryError(VLSearchError):
    """A search can't be understood."""


class ServerError(VLSearchError):
    """The MCP server can't start."""


class ClientError(VLSearchError):
    """A client's configuration can't be read or changed, or there is no such client."""


class CancelledError(VLSearchError):
    """The caller asked to stop; finished batches stay."""
