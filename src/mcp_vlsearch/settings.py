"""Settings: flags beat environment beats the library's ``config.toml`` beats defaults."""

import os
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

from mcp_vlsearch.configuration import CONFIG_FILE, ENVIRONMENT_PREFIX, explain, read_config
from mcp_vlsearch.errors import SettingsError
from mcp_vlsearch.files import write_whole

__all__ = [
    "CONFIG_FILE",
    "DEFAULT_ENCODER",
    "OF_A_MODEL",
    "Device",
    "Pooling",
    "Precision",
    "Prepare",
    "Rewrite",
    "Settings",
    "Share",
    "choices",
    "follow_pin",
    "is_pinned",
    "load_settings",
    "open_choices",
    "pin_encoder",
]

BUILT_IN_MODEL: Final = "storybook"
DEFAULT_ENCODER: Final = "qwen3-vl"
DEFAULT_MODEL: Final = "Qwen/Qwen3-VL-Embedding-2B"

PINNED: Final = (
    "encoder", "model", "encoder_url", "precision", "dim", "max_pixels", "pooling",
    "image_instruction", "prepare",
)  # fmt: skip
"""What ``index`` writes into ``config.toml``: the choices that vectors depend on."""
OF_A_MODEL: Final = ("precision", "dim", "max_pixels", "pooling", "image_instruction")
"""Those among them that are made for one model and say nothing about another."""

_NO_SERVER: Final = "needs --encoder remote: give that"
_UP_TO_THE_SERVER: Final = "is up to the server that the encoder 'remote' asks: give it there"
_IDLE: Final = {
    DEFAULT_ENCODER: dict.fromkeys(("encoder_url", "encoder_token"), _NO_SERVER),
    "remote": dict.fromkeys(("device", "pooling"), _UP_TO_THE_SERVER),
}
"""By encoder: settings that it has no use for, and what to do instead."""

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8", "nf4"]
Device = Literal["auto", "cuda", "mps", "cpu"]
Pooling = Literal["auto", "last", "mean"]
Prepare = Literal["off", "scans"]
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
    prepare: Annotated[
        Prepare, Field(description="What is done to pictures first: `scans` mends scanned text.")
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
    token: Annotated[str | None, Field(description="Bearer token for HTTP.")] = None
    read_only: Annotated[bool, Field(description="No tool that writes.")] = False

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
    library = given.get("library") or from_environment.get("library") or _default_library()
    library = _absolute(Path(library))
    chosen = {**from_environment, **given}
    from_file = _fitting(read_config(library / CONFIG_FILE), chosen)
    values = {**from_file, **chosen, "library": library}
    if "model" in values:
        values["model"] = _model(str(values["model"]))
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(explain(error, given, from_environment, library)) from error
    roots = tuple(_absolute(root) for root in settings.roots)
    settings = _with(
        settings, {"roots": roots}, settings.model_fields_set - set(PINNED) | chosen.keys()
    )
    settings._flags = frozenset(given)
    _refuse_idle(settings)
    return settings


def follow_pin(settings: Settings) -> Settings:
    """Return settings with what ``config.toml`` pins now, where nobody chose otherwise.

    So a server goes over to another model with its library. Raises :class:`SettingsError`.
    """
    chosen = _chosen(settings)
    pinned = _fitting(read_config(settings.library / CONFIG_FILE), chosen)
    values = {
        name: pinned.get(name, Settings.model_fields[name].default)
        for name in PINNED
        if name not in chosen
    }
    if "model" in values:
        values["model"] = _model(str(values["model"]))
    try:
        checked = Settings.model_validate({**dict(settings), **values})
    except ValidationError as error:
        raise SettingsError(explain(error, {}, {}, settings.library)) from error
    update = {name: getattr(checked, name) for name in values}
    return _with(settings, update, settings.model_fields_set)


def choices(settings: Settings) -> dict[str, Any]:
    """Return by name what vectors depend on, without what is left to defaults."""
    values = {name: getattr(settings, name) for name in PINNED}
    return {
        name: value
        for name, value in values.items()
        if name in ("encoder", "model") or value != Settings.model_fields[name].default
    }


def open_choices(settings: Settings) -> set[str]:
    """Return what of a model's choices nobody has made: the library may know them from before.

    None are open for the model that ``config.toml`` pins: there, what it leaves out means defaults.
    """
    config, chosen = read_config(settings.library / CONFIG_FILE), _chosen(settings)
    if is_pinned(settings.library) and _is_of(config, chosen):
        return set()
    return set(OF_A_MODEL) - chosen.keys() - _fitting(config, chosen).keys()


def is_pinned(library: Path) -> bool:
    """Say whether the library's ``config.toml`` names an encoder or a model."""
    return not {"encoder", "model"}.isdisjoint(read_config(library / CONFIG_FILE))


def pin_encoder(settings: Settings) -> None:
    """Write what vectors depend on into the library's ``config.toml``, instead of what is there.

    Later commands and servers so follow the library without being told.
    """
    import tomlkit

    path = settings.library / CONFIG_FILE
    document = tomlkit.parse(path.read_text("utf-8")) if path.exists() else tomlkit.document()
    before = {name: document[name] for name in PINNED if name in document}
    values = choices(settings)
    if before == values:
        return
    for name in before.keys() - values.keys():
        del document[name]
    document.update({k: v for k, v in values.items() if before.get(k) != v})
    write_whole(path, tomlkit.dumps(document))


def _chosen(settings: Settings) -> dict[str, Any]:
    """Return what flags or the environment say of vectors."""
    return {name: getattr(settings, name) for name in PINNED if name in settings.model_fields_set}


def _fitting(config: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of ``config.toml`` holds: choices for one model don't, where another is asked."""
    unfit = () if _is_of(config, chosen) else OF_A_MODEL
    return {name: value for name, value in config.items() if name not in unfit}


def _is_of(config: Mapping[str, Any], chosen: Mapping[str, Any]) -> bool:
    """Say whether ``config.toml`` speaks of the encoder and model that are asked for."""
    if {"encoder", "model"}.isdisjoint(config):
        return True
    defaults = {name: Settings.model_fields[name].default for name in ("encoder", "model")}
    return all(
        _model(str(chosen.get(name, value))) == _model(str(value))
        for name, value in {**defaults, **config}.items()
        if name in defaults
    )


def _with(settings: Settings, values: Mapping[str, Any], chosen: set[str]) -> Settings:
    """Return settings with other values that are valid, and with what counts as set."""
    copy = settings.model_copy(update=values)
    copy.model_fields_set.intersection_update(chosen)
    return copy


def _refuse_idle(settings: Settings) -> None:
    """Refuse flags that the encoder does not look at.

    Environment and ``config.toml`` may name such settings, for other libraries.
    """
    for name in filter(settings.is_flag, _IDLE.get(settings.encoder, {})):
        flag = f"--{name.replace('_', '-')}"
        raise SettingsError(f"{flag} {_IDLE[settings.encoder][name]}, or leave it out")


def _model(name: str) -> str:
    """Make a local directory absolute: the next command may run elsewhere."""
    is_local = name != BUILT_IN_MODEL and Path(name).expanduser().is_dir()
    return str(_absolute(Path(name))) if is_local else name


def _default_library() -> Path:
    from platformdirs import user_data_path

    return user_data_path("mcp-vlsearch", appauthor=False)
