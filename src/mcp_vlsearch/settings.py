"""Settings: flags beat environment beats the library's ``config.toml`` beats defaults."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
)

from mcp_vlsearch.errors import SettingsError
from mcp_vlsearch.wording import in_words, shown

__all__ = [
    "BUILT_IN_MODEL",
    "CONFIG_FILE",
    "DEFAULT_ENCODER",
    "OF_A_MODEL",
    "PINNED",
    "Device",
    "Pooling",
    "Precision",
    "Prepare",
    "Rewrite",
    "Settings",
    "Share",
    "absolute",
    "default_library",
    "explain",
    "fitting",
    "is_of",
    "load_settings",
    "model_name",
    "read_config",
    "with_values",
]

ENVIRONMENT_PREFIX: Final = "MCP_VLSEARCH_"
CONFIG_FILE: Final = "config.toml"
BUILT_IN_MODEL: Final = "storybook"
DEFAULT_ENCODER: Final = "qwen3-vl"
DEFAULT_MODEL: Final = "Qwen/Qwen3-VL-Embedding-2B"

PINNED: Final = (
    "encoder", "model", "encoder_url", "precision", "dim", "max_pixels", "pooling",
    "image_instruction", "prepare",
)  # fmt: skip
"""What ``index`` writes into ``config.toml``: the choices that vectors depend on."""
FOLLOWED: Final = (*PINNED, "index_kind")
"""What running servers follow when it changes there."""
OF_A_MODEL: Final = ("precision", "dim", "max_pixels", "pooling", "image_instruction")
"""Those among them that are made for one model and say nothing about another."""

_NO_SERVER: Final = "needs --encoder remote: give that"
_UP_TO_THE_SERVER: Final = "is up to the server that the encoder 'remote' asks: give it there"
_NO_MILVUS: Final = "needs --index milvus: give that"
_IDLE: Final = {
    ("encoder", DEFAULT_ENCODER): dict.fromkeys(("encoder_url", "encoder_token"), _NO_SERVER),
    ("encoder", "remote"): dict.fromkeys(("device", "pooling"), _UP_TO_THE_SERVER),
    ("index", "faiss"): dict.fromkeys(("milvus_uri", "milvus_token"), _NO_MILVUS),
    ("index", "milvus"): {"index_kind": "needs --index faiss: give that"},
}
"""By plugin: settings that it has no use for, and what to do instead."""

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8", "nf4"]
Device = Literal["auto", "cuda", "mps", "cpu"]
Pooling = Literal["auto", "last", "mean"]
Prepare = Literal["off", "scans"]
Share = Literal["auto", "off"]
Rewrite = Literal["off", "template", "model"]


def _paths(value: object) -> object:
    return [p for p in value.split(os.pathsep) if p] if isinstance(value, str) else value


def absolute(path: Path) -> Path:
    """Return the whole path. Raises :class:`SettingsError` for the ``~`` of an unknown user."""
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise SettingsError(
            f"{shown(str(path))}: there is no such user: give another path"
        ) from error


class Settings(BaseModel):
    """Everything that can be set, with its default. Field descriptions are the documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    library: Annotated[Path, Field(description="Library directory.")]
    roots: Annotated[
        tuple[Path, ...],
        BeforeValidator(_paths),
        Field(
            description="Folders allowed, besides those given to `index`, which they do not limit."
        ),
    ] = ()
    encoder: Annotated[str, Field(description="Encoder plugin.")] = DEFAULT_ENCODER
    model: Annotated[
        str, Field(description="Checkpoint: a hub id, a local directory, or `storybook`.")
    ] = DEFAULT_MODEL
    precision: Annotated[Precision, Field(description="Number format of the weights.")] = "auto"
    device: Annotated[Device, Field(description="Where the encoder runs.")] = "auto"
    dim: Annotated[int | None, Field(ge=8, description="Matryoshka truncation of the vectors.")] = (
        None
    )
    max_pixels: Annotated[
        int | None, Field(ge=4096, description="Pixel budget per image for the encoder.")
    ] = None
    pooling: Annotated[
        Pooling, Field(description="How token states become a vector; auto asks the checkpoint.")
    ] = "auto"
    query_instruction: Annotated[str, Field(description="Instruction that queries carry.")] = (
        "Retrieve images or text relevant to the user's query."
    )
    image_instruction: Annotated[str, Field(description="Instruction that images carry.")] = (
        "Represent the user's input."
    )
    prepare: Annotated[
        Prepare, Field(description="What is done to pictures before they are encoded.")
    ] = "off"
    pdf_pages: Annotated[
        int, Field(ge=1, le=10_000, description="Pages per PDF at most, from the first on.")
    ] = 100
    video_moments: Annotated[
        int, Field(ge=1, le=1_000, description="Moments per video at most.")
    ] = 24
    batch_size: Annotated[
        int | None, Field(ge=1, le=4096, description="Images per encoder call.")
    ] = None
    encoder_url: Annotated[
        str | None, Field(description="Address of the server that the encoder `remote` asks.")
    ] = None
    encoder_token: Annotated[str | None, Field(description="Bearer token for that server.")] = None
    share: Annotated[
        Share, Field(description="Whether stdio servers hold the model together, in one process.")
    ] = "auto"
    index: Annotated[str, Field(description="Index plugin.")] = "faiss"
    index_kind: Annotated[str, Field(description="How the index `faiss` searches.")] = "auto"
    milvus_uri: Annotated[
        str | None,
        Field(description="Milvus server of the index `milvus`; none is a file in the library."),
    ] = None
    milvus_token: Annotated[
        str | None, Field(description="Token for that server, such as `user:password`.")
    ] = None
    rewrite: Annotated[str, Field(description="Default rewriter.")] = "off"
    rewrite_model: Annotated[
        str | None,
        Field(description="Checkpoint that the rewriter `model` runs, or that `openai` asks for."),
    ] = None
    rewrite_seconds: Annotated[
        float, Field(gt=0, le=600, description="Time that one rewriting may take.")
    ] = 20.0
    rewrite_url: Annotated[
        str | None, Field(description="Address of the server that the rewriter `openai` asks.")
    ] = None
    rewrite_token: Annotated[
        str | None, Field(description="Bearer token for the server of that rewriter.")
    ] = None
    token: Annotated[str | None, Field(description="Bearer token for HTTP.")] = None
    read_only: Annotated[bool, Field(description="No tool that writes.")] = False
    watch: Annotated[
        bool, Field(description="Index what changes below the roots; as a setting, for servers.")
    ] = False
    rescan_seconds: Annotated[
        float | None,
        Field(ge=1, description="Rescan watched roots, too, with so many seconds between."),
    ] = None
    call_seconds: Annotated[
        float,
        Field(gt=0, description="Seconds after which a tool answers, though its work goes on."),
    ] = 45
    slow_call_seconds: Annotated[
        float, Field(gt=0, description="Seconds from which on a tool call is logged as slow.")
    ] = 10

    _flags: frozenset[str] = PrivateAttr(default=frozenset())

    def is_flag(self, name: str) -> bool:
        """Say whether a setting was asked for by a flag: whoever does expects that it counts."""
        return name in self._flags and getattr(self, name) != type(self).model_fields[name].default


def load_settings(
    flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Combine flags, environment and the library's ``config.toml``; a flag of None is not given.

    What ``config.toml`` pins counts as not set, for a library may go over to another model while
    its settings are in use. Raises :class:`SettingsError` naming the setting and where it was set.
    """
    given = {k: v for k, v in (flags or {}).items() if v is not None}
    environment = os.environ if environment is None else environment
    from_environment = {
        name: environment[variable]
        for name in Settings.model_fields
        if environment.get(variable := ENVIRONMENT_PREFIX + name.upper())
    }
    library = given.get("library") or from_environment.get("library") or default_library()
    library = absolute(Path(library))
    chosen = {**from_environment, **given}
    from_file = fitting(read_config(library / CONFIG_FILE), chosen)
    values = {**from_file, **chosen, "library": library}
    if "model" in values:
        values["model"] = model_name(str(values["model"]))
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(explain(error, given, from_environment, library)) from error
    roots = tuple(absolute(root) for root in settings.roots)
    settings = with_values(
        settings, {"roots": roots}, settings.model_fields_set - set(FOLLOWED) | chosen.keys()
    )
    settings._flags = frozenset(given)
    _refuse_idle(settings)
    return settings


def fitting(config: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of ``config.toml`` holds: choices for one model don't, where another is asked."""
    unfit = () if is_of(config, chosen) else OF_A_MODEL
    return {name: value for name, value in config.items() if name not in unfit}


def is_of(config: Mapping[str, Any], chosen: Mapping[str, Any]) -> bool:
    """Say whether ``config.toml`` speaks of the encoder and model that are asked for."""
    if {"encoder", "model"}.isdisjoint(config):
        return True
    defaults = {name: Settings.model_fields[name].default for name in ("encoder", "model")}
    return all(
        model_name(str(chosen.get(name, value))) == model_name(str(value))
        for name, value in {**defaults, **config}.items()
        if name in defaults
    )


def with_values(settings: Settings, values: Mapping[str, Any], chosen: set[str]) -> Settings:
    """Return settings with other values that are valid, and with what counts as set."""
    copy = settings.model_copy(update=values)
    copy.model_fields_set.intersection_update(chosen)
    return copy


def _refuse_idle(settings: Settings) -> None:
    """Refuse flags that neither the encoder nor the index looks at.

    Environment and ``config.toml`` may name such settings, for other libraries.
    """
    for plugin in ("encoder", "index"):
        idle = _IDLE.get((plugin, getattr(settings, plugin)), {})
        for name in filter(settings.is_flag, idle):
            flag = f"--{name.replace('_', '-')}"
            raise SettingsError(f"{flag} {idle[name]}, or leave it out")


def model_name(name: str) -> str:
    """Make a local directory absolute: the next command may run elsewhere.

    Raises :class:`SettingsError` for what can be no directory's name and so no model's either.
    """
    try:
        is_local = name != BUILT_IN_MODEL and Path(name).expanduser().is_dir()
    except (OSError, RuntimeError) as error:  # too long, or of a user that is not there
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"there is no model {shown(name)!r} ({reason}): give another --model"
        ) from error
    return str(absolute(Path(name))) if is_local else name


def default_library() -> Path:
    """Return the directory of the library of whoever runs this, which need not be there yet."""
    from platformdirs import user_data_path

    return user_data_path("mcp-vlsearch", appauthor=False)


def read_config(path: Path) -> dict[str, Any]:
    """Return what a ``config.toml`` says, if it is there. Raises :class:`SettingsError`."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except NotADirectoryError as error:
        raise SettingsError(f"{path.parent} is not a directory: give another --library") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} can't be read ({error}): mend or delete it") from error
    values.pop("library", None)
    return values


def explain(
    error: ValidationError,
    flags: Mapping[str, Any],
    environment: Mapping[str, Any],
    library: Path,
) -> str:
    """Say in one line which setting is wrong, and where it was set."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "?"
    if name in flags:
        where = f"--{name.replace('_', '-')}"
    elif name in environment:
        where = ENVIRONMENT_PREFIX + name.upper()
    else:
        where = f"{name!r} in {library / CONFIG_FILE}"
    return f"{where}: {in_words(first)} (got {first['input']!r})"
