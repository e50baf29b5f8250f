"""The MCP tools, one a module: arguments → library call → result."""
