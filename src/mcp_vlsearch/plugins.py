"""Every extension point on one screen: name → factory.

A plugin is a callable plus one entry-point line in its package. Built-ins are lazy
``"module:attribute"`` strings that go through the same resolver, so choosing one plugin never
imports another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Literal

from mcp_vlsearch.errors import MissingExtraError, PluginError

__all__ = ["BUILT_IN", "Group", "Plugin", "available", "resolve"]

Group = Literal["encoders", "indexes", "rewriters", "tools"]

# What a factory of each group is called with and returns:
#   encoders   (Settings) -> Encoder
#   indexes    (Settings, Space) -> VectorIndex
#   rewriters  (Settings) -> QueryRewriter
#   tools      (MCPServer, Library) -> None, which registers one MCP tool
BUILT_IN: Final[dict[Group, dict[str, str]]] = {
    "encoders": {
        "qwen3-vl": "mcp_vlsearch.encoders.qwen3_vl:Qwen3VLEncoder",
        "remote": "mcp_vlsearch.encoders.remote:RemoteEncoder",
    },
    "indexes": {
        "faiss": "mcp_vlsearch.indexes.faiss:FaissIndex",
        "milvus": "mcp_vlsearch.indexes.milvus:MilvusIndex",
    },
    "rewriters": {
        "template": "mcp_vlsearch.rewriters.template:TemplateRewriter",
        "model": "mcp_vlsearch.rewriters.qwen:QwenRewriter",
        "openai": "mcp_vlsearch.rewriters.openai:OpenAIRewriter",
    },
    "tools": {
        "index_images": "mcp_vlsearch.tools.index_images:register",
        "search_by_text": "mcp_vlsearch.tools.search_by_text:register",
        "search_by_image": "mcp_vlsearch.tools.search_by_image:register",
        "view_images": "mcp_vlsearch.tools.view_images:register",
        "explain_match": "mcp_vlsearch.tools.explain_match:register",
        "find_duplicates": "mcp_vlsearch.tools.find_duplicates:register",
        "library_status": "mcp_vlsearch.tools.library_status:register",
        "remove_images": "mcp_vlsearch.tools.remove_images:register",
    },
}

_EXTRAS: Final = dict.fromkeys(
    ("torch", "transformers", "safetensors", "huggingface_hub", "faiss"), "cpu"
) | dict.fromkeys(("grpc", "pymilvus", "milvus_lite"), "milvus")


@dataclass(frozen=True)
class Plugin:
    """A name in a group, the package that owns it, and where its factory is."""

    group: Group
    name: str
    owner: str
    target: str

    def load(self) -> Callable[..., Any]:
        """Import the factory. Raises :class:`PluginError` with what to do."""
        module, _, attribute = self.target.partition(":")
        try:
            factory: Callable[..., Any] = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise _missing(self, error) from error
        except (ImportError, AttributeError) as error:
            raise PluginError(
                f"{self.group[:-1]} {self.name!r} of {self.owner} can't be imported: {error}; "
                f"reinstall or remove {self.owner}"
            ) from error
        return factory


def resolve(group: Group, name: str) -> Callable[..., Any]:
    """Return the factory registered as ``name``, importing nothing else.

    Raises :class:`PluginError` if the name is unknown or registered twice, and
    :class:`MissingExtraError` if a package that it needs is not installed.
    """
    plugins = available(group)
    if name not in plugins:
        names = sorted({*plugins, *(("off",) if group == "rewriters" else ())})
        raise PluginError(
            f"no {group[:-1]} is called {name!r}; there are: {', '.join(names)}: give one"
        )
    return plugins[name].load()


def available(group: Group) -> dict[str, Plugin]:
    """Return every plugin of a group by name, built-in ones first.

    Raises :class:`PluginError` that names both owners if a name is registered twice.
    """
    found = {
        name: Plugin(group, name, "mcp-vlsearch", target)
        for name, target in BUILT_IN[group].items()
    }
    for entry in entry_points(group=f"mcp_vlsearch.{group}"):
        plugin = Plugin(group, entry.name, _owner(entry), entry.value)
        other = found.setdefault(entry.name, plugin)
        if other != plugin:
            raise PluginError(
                f"{group[:-1]} {entry.name!r} is registered by both {other.owner} and "
                f"{plugin.owner}: uninstall one of them"
            )
    return found


def _owner(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value


def _missing(plugin: Plugin, error: ModuleNotFoundError) -> PluginError:
    package = (error.name or "").partition(".")[0]
    what = f"{plugin.group[:-1]} {plugin.name!r} needs the package {package!r}"
    if package in _EXTRAS:
        return MissingExtraError(f"{what}: pip install 'mcp-vlsearch[{_EXTRAS[package]}]'")
    return MissingExtraError(f"{what}: reinstall {plugin.owner} with what it needs")
