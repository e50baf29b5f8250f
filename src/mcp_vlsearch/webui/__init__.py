"""The web page: a face of the library for people. Only this folder knows Gradio."""

from typing import TYPE_CHECKING

from mcp_vlsearch.errors import MissingExtraError

if TYPE_CHECKING:
    from mcp_vlsearch.settings import Settings

__all__ = ["serve_webui"]


def serve_webui(
    settings: "Settings", host: str = "127.0.0.1", port: int = 7860, *, is_opened: bool = False
) -> None:
    """Serve the web page until SIGINT or SIGTERM, and open a browser there if asked to.

    Port 0 takes a free one; stderr says which. Raises :class:`MissingExtraError` where Gradio is
    not installed, and :class:`ServerError` if the address can't be used.
    """
    try:
        import gradio  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the web page needs the package {error.name!r}: pip install 'mcp-vlsearch[webui]'"
        ) from error
    from mcp_vlsearch.webui.serving import serve

    serve(settings, host, port, is_opened)
