"""What a library's ``config.toml`` pins: the choices that commands and running servers follow."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from pydantic import ValidationError

from mcp_vlsearch.errors import SettingsError
from mcp_vlsearch.files import write_whole
from mcp_vlsearch.settings import (
    CONFIG_FILE,
    OF_A_MODEL,
    PINNED,
    Settings,
    explain,
    fitting,
    is_of,
    model_name,
    read_config,
    with_values,
)

__all__ = [
    "choices",
    "follow_index_kind",
    "follow_pin",
    "is_elsewhere",
    "is_pinned",
    "open_choices",
    "pin_encoder",
    "pin_index_kind",
]


def follow_pin(settings: Settings) -> Settings:
    """Return settings with what ``config.toml`` pins now, where nobody chose otherwise.

    So a server goes over to another model with its library. Raises :class:`SettingsError`.
    """
    chosen = _chosen(settings)
    pinned = fitting(read_config(settings.library / CONFIG_FILE), chosen)
    values = {
        name: pinned.get(name, Settings.model_fields[name].default)
        for name in PINNED
        if name not in chosen
    }
    if "model" in values:
        values["model"] = model_name(str(values["model"]))
    try:
        checked = Settings.model_validate({**dict(settings), **values})
    except ValidationError as error:
        raise SettingsError(explain(error, {}, {}, settings.library)) from error
    update = {name: getattr(checked, name) for name in values}
    return with_values(settings, update, settings.model_fields_set)


def follow_index_kind(settings: Settings) -> Settings:
    """Return settings with the kind of index that ``config.toml`` names now, unless one was chosen.

    Raises :class:`SettingsError`.
    """
    if "index_kind" in settings.model_fields_set:
        return settings
    default = Settings.model_fields["index_kind"].default
    kind = read_config(settings.library / CONFIG_FILE).get("index_kind", default)
    return with_values(settings, {"index_kind": str(kind)}, settings.model_fields_set)


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
    if is_pinned(settings.library) and is_of(config, chosen):
        return set()
    return set(OF_A_MODEL) - chosen.keys() - fitting(config, chosen).keys()


def is_pinned(library: Path) -> bool:
    """Say whether the library's ``config.toml`` names an encoder or a model."""
    return not {"encoder", "model"}.isdisjoint(read_config(library / CONFIG_FILE))


def is_elsewhere(model: str) -> bool:
    """Say whether a model is named by a path, of whichever system, that is no folder here."""
    paths = PurePosixPath(model), PureWindowsPath(model)
    is_path = model.startswith(("~", ".")) or "\\" in model or any(path.anchor for path in paths)
    return is_path and not Path(model).expanduser().is_dir()


def pin_encoder(settings: Settings) -> None:
    """Write what vectors depend on into the library's ``config.toml``, instead of what is there.

    Later commands and servers so follow the library without being told.
    """
    _pin(settings.library, PINNED, choices(settings))


def pin_index_kind(settings: Settings) -> None:
    """Write a kind of index that was chosen into the library's ``config.toml``.

    Otherwise servers that run with another one would build theirs again. ``auto`` needs no word.
    """
    if "index_kind" in settings.model_fields_set:
        kind, default = settings.index_kind, Settings.model_fields["index_kind"].default
        _pin(settings.library, ("index_kind",), {} if kind == default else {"index_kind": kind})


def _pin(library: Path, names: Sequence[str], values: Mapping[str, Any]) -> None:
    """Put values in the place of what ``config.toml`` has under these names."""
    import tomlkit

    path = library / CONFIG_FILE
    document = tomlkit.parse(path.read_text("utf-8")) if path.exists() else tomlkit.document()
    before = {name: document[name] for name in names if name in document}
    if before == values:
        return
    for name in before.keys() - values.keys():
        del document[name]
    document.update({k: v for k, v in values.items() if before.get(k) != v})
    write_whole(path, tomlkit.dumps(document))


def _chosen(settings: Settings) -> dict[str, Any]:
    """Return what flags or the environment say of vectors."""
    return {name: getattr(settings, name) for name in PINNED if name in settings.model_fields_set}
