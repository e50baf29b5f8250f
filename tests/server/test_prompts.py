"""A prompt that is not there is the client's mistake, not the server's."""

import pytest
from mcp import Client, MCPError
from mcp.types import INVALID_PARAMS

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.server import build_server


@pytest.mark.anyio
async def test_a_prompt_that_is_not_there_is_refused_as_a_wrong_parameter(
    library: Library,
) -> None:
    async with Client(build_server(library)) as client:
        with pytest.raises(MCPError, match="no prompt is called 'hello': list") as refused:
            await client.get_prompt("hello")
    assert refused.value.error.code == INVALID_PARAMS
