#!/bin/sh
# Serves MCP over HTTP with the token of a secret or of the environment. Without one it does not
# start: the token that the server would make for itself would end in the container's log.
set -eu
token_file=${TOKEN_FILE:-/run/secrets/mcp_vlsearch_token}
if [ -z "${MCP_VLSEARCH_TOKEN:-}" ] && [ -r "$token_file" ]; then
  MCP_VLSEARCH_TOKEN=$(cat "$token_file")
  export MCP_VLSEARCH_TOKEN
fi
if [ -z "${MCP_VLSEARCH_TOKEN:-}" ]; then
  echo "error: no token: mount the secret mcp_vlsearch_token or set MCP_VLSEARCH_TOKEN" >&2
  exit 2
fi
exec mcp-vlsearch serve --transport http --host 0.0.0.0 --port 8765 "$@"
