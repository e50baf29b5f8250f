"""Settings: flags beat environment beats the library's ``config.toml`` beats defaults."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from mcp_vlsearch.errors import SettingsError

__all__ = [
    "DEFAULT_ENCODER",
    "Device",
    "Pooling",
    "Precision",
    "Rewrite",
    "Settings",
    "Share",
    "follow_pin",
    "load_settings",
    "pin_encoder",
]

ENVIRONMENT_PREFIX: Final = "MCP_VLSEARCH_"
CONFIG_FILE: Final = "config.toml"
BUILT_IN_MODEL: Final = "storybook"
DEFAULT_ENCODER: Final = "qwen3-vl"
DEFAULT_MODEL: Final = "Qwen/Qwen3-VL-Embedding-2B"

PINNED: Final = (
    "encoder", "model", "encoder_url", "precision", "dim", "max_pixels", "pooling",
    "image_instruction",
)  # fmt: skip
"""What the first ``index`` writes into ``config.toml``: the choices that vectors depend on."""

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8", "nf4"]
Device = Literal["auto", "cuda", "mps", "cpu"]
Pooling = Literal["auto", "last", "mean"]
Share = Literal["auto", "off"]
Rewrite = Literal["off", "template", "model"]


def _paths(value: object) -> object:
    return [p for p in value.split(os.pathsep) if p] if isinstance(value, str) else value


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


class Settings(BaseModel):
    """Everything that can be set, with its default. Field descriptions are the documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    library: Annotated[Path, Field(description="Library directory.")]
    roots: Annotated[
        tuple[Path, ...],
        BeforeValidator(_paths),
        Field(description="Folders allowed, besides those given to `index`."),
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
    milvus_uri: Annotated[
        str | None,
        Field(description="Milvus server of the index `milvus`; none is a file in the library."),
    ] = None
    milvus_token: Annotated[
        str | None, Field(description="Token for that server, such as `user:password`.")
    ] = None
    rewrite: Annotated[str, Field(description="Default rewriter.")] = "off"
    token: Annotated[str | None, Field(description="Bearer token for HTTP.")] = None
    read_only: Annotated[bool, Field(description="No tool that writes.")] = False


def load_settings(
    flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Combine flags, environment and the library's ``config.toml``; a flag of None is not given.

    Raises :class:`SettingsError` naming the setting and where it was set.
    """
    given = {k: v for k, v in (flags or {}).items() if v is not None}
    environment = os.environ if environment is None else environment
    from_environment = {
        name: environment[variable]
        for name in Settings.model_fields
        if environment.get(variable := ENVIRONMENT_PREFIX + name.upper())
    }
    library = given.get("library") or from_environment.get("library") or _default_library()
    library = _absolute(Path(library))
    from_file = _read_config(library / CONFIG_FILE)
    values = {**from_file, **from_environment, **given, "library": library}
    if "model" in values:
        values["model"] = _model(str(values["model"]))
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explain(error, given, from_environment, library)) from error
    return settings.model_copy(update={"roots": tuple(_absolute(r) for r in settings.roots)})


def follow_pin(settings: Settings) -> Settings:
    """Return settings with what ``config.toml`` has pinned since, where nobody chose otherwise.

    A server that was started on an empty library so follows the first ``index`` of another process.
    """
    pinned = _read_config(settings.library / CONFIG_FILE)
    chosen = settings.model_fields_set
    return settings.model_copy(
        update={k: v for k, v in pinned.items() if k in PINNED and k not in chosen}
    )


def pin_encoder(settings: Settings) -> None:
    """Write encoder, model and server into the library's ``config.toml`` unless they are there.

    With them goes what else was chosen that changes vectors, so that later commands and servers
    follow the library without being told.
    """
    import tomlkit

    path = settings.library / CONFIG_FILE
    document = tomlkit.parse(path.read_text("utf-8")) if path.exists() else tomlkit.document()
    if "encoder" in document or "model" in document:
        return
    chosen = {"encoder", "model"} | (settings.model_fields_set & set(PINNED))
    values = {name: getattr(settings, name) for name in PINNED if name in chosen}
    missing = {k: v for k, v in values.items() if k not in document and v is not None}
    if missing:
        document.update(missing)
        beside = path.with_suffix(".tmp")
        beside.write_text(tomlkit.dumps(document), "utf-8")
        beside.replace(path)


def _model(name: str) -> str:
    """Make a local directory absolute: the next command may run elsewhere."""
    is_local = name != BUILT_IN_MODEL and Path(name).expanduser().is_dir()
    return str(_absolute(Path(name))) if is_local else name


def _default_library() -> Path:
    from platformdirs import user_data_path

    return user_data_path("mcp-vlsearch", appauthor=False)


def _read_config(path: Path) -> dict[str, Any]:
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


def _explain(
    error: ValidationError,
    flags: Mapping[str, Any],
    environment: Mapping[str, Any],
    library: Path,
) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "?"
    if name in flags:
        where = f"--{name.replace('_', '-')}"
    elif name in environment:
        where = ENVIRONMENT_PREFIX + name.upper()
    else:
        where = f"{name!r} in {library / CONFIG_FILE}"
    return f"{where}: {first['msg']} (got {first['input']!r})"
