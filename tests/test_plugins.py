"""Plugins: a third party's, installed and used by name; clashes, gaps, what stays unimported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mcp_vlsearch import plugins
from mcp_vlsearch.errors import MissingExtraError, PluginError

REPOSITORY = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "faiss", "pymilvus")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example plugin, installed by pip into a folder of its own."""
    source, target = REPOSITORY / "examples" / "plugin", tmp_path_factory.mktemp("site")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *options, str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target


def python(*arguments: str, path: Path) -> str:
    """Run Python with this package and a folder of plugins on its path; return what it prints."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MCP_VLSEARCH_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(path), str(REPOSITORY / "src")])
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def register(folder: Path, owner: str, entry: str) -> None:
    """Make an encoder known to this process, once the folder is on its path."""
    info = folder / f"{owner}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {owner}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[mcp_vlsearch.encoders]\n{entry}\n")


def test_an_installed_plugin_is_listed_with_its_owner(installed: Path) -> None:
    listed = json.loads(python("-m", "mcp_vlsearch", "plugins", "--json", path=installed))
    assert {
        "group": "encoders",
        "name": "colours",
        "owner": "mcp-vlsearch-colours",
        "target": "mcp_vlsearch_colours:ColourEncoder",
    } in listed


def test_an_installed_plugin_indexes_and_searches_by_its_name(
    installed: Path, tmp_path: Path
) -> None:
    pictures, library = tmp_path / "pictures", str(tmp_path / "library")
    pictures.mkdir()
    for colour in ("red", "blue", "white"):
        Image.new("RGB", (32, 32), colour).save(pictures / f"{colour}.png")
    command = ("-m", "mcp_vlsearch")
    chosen = ("--library", library, "--encoder", "colours", "--json")
    report = json.loads(python(*command, "index", str(pictures), *chosen, path=installed))
    assert report["encoded"] == 3
    follow = ("--library", library, "--json")
    found = json.loads(python(*command, "search", "blue", *follow, path=installed))
    assert Path(found["hits"][0]["path"]).name == "blue.png"


def test_an_installed_plugin_passes_the_public_contract_suite(installed: Path) -> None:
    script = (
        "from pathlib import Path\n"
        "from mcp_vlsearch.plugins import resolve\n"
        "from mcp_vlsearch.settings import Settings\n"
        "from mcp_vlsearch.testing import check_encoder, check_explaining\n"
        "encoder = resolve('encoders', 'colours')(Settings(library=Path('unused')))\n"
        "check_encoder(encoder)\n"
        "check_explaining(encoder)\n"
        "print('kept')"
    )
    assert python("-c", script, path=installed) == "kept\n"


def test_choosing_one_plugin_imports_no_other(installed: Path) -> None:
    script = (
        "import sys\n"
        "from mcp_vlsearch.plugins import resolve\n"
        "resolve('encoders', 'colours')\n"
        "resolve('rewriters', 'template')\n"
        "resolve('rewriters', 'openai')\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert python("-c", script, path=installed) == "[]\n"


def test_the_example_counts_colours_as_a_plain_loop_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "examples" / "plugin" / "src")
    from mcp_vlsearch_colours import ColourEncoder

    from mcp_vlsearch.settings import Settings

    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    counts = np.zeros((4, 4, 4))
    for pixel in pixels.reshape(-1, 3):
        weights = [np.maximum(1 - abs(value / 85 - np.arange(4)), 0) for value in pixel]
        counts += np.multiply.outer(np.multiply.outer(weights[0], weights[1]), weights[2])
    expected = counts.ravel() / np.linalg.norm(counts)
    encoder = ColourEncoder(Settings(library=Path("unused")))
    np.testing.assert_allclose(
        encoder.encode_images([Image.fromarray(pixels)])[0], expected, atol=1e-5
    )


def test_a_name_registered_twice_is_an_error_that_names_both_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tmp_path, "one-package", "mine = one:Encoder")
    register(tmp_path, "other-package", "mine = other:Encoder")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match=r"'mine'.*one-package and other-package"):
        plugins.available("encoders")


def test_a_third_party_cannot_take_the_name_of_a_built_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tmp_path, "usurper", "qwen3-vl = usurper:Encoder")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match=r"'qwen3-vl'.*mcp-vlsearch and usurper"):
        plugins.resolve("encoders", "qwen3-vl")


@pytest.mark.parametrize(
    ("group", "name", "module", "package"),
    [
        ("indexes", "faiss", "mcp_vlsearch.indexes.faiss", "faiss"),
        ("encoders", "qwen3-vl", "mcp_vlsearch.encoders.qwen3_vl", "torch"),
    ],
)
def test_a_missing_extra_gives_the_pip_line(
    monkeypatch: pytest.MonkeyPatch, group: plugins.Group, name: str, module: str, package: str
) -> None:
    script_modules = [m for m in sys.modules if m == module or m.startswith(module + ".")]
    for loaded in script_modules:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mcp-vlsearch\[cpu\]'") as caught:
        plugins.resolve(group, name)
    assert f"{package!r}" in str(caught.value)


def test_a_plugin_that_lacks_a_package_of_its_own_names_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tmp_path, "their-package", "theirs = no_such_module_anywhere:Encoder")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match=r"'no_such_module_anywhere'.*reinstall their-package"):
        plugins.resolve("encoders", "theirs")


def test_a_plugin_without_its_class_names_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tmp_path, "their-package", "theirs = their_module:Missing")
    (tmp_path / "their_module.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match=r"'theirs' of their-package can't be imported"):
        plugins.resolve("encoders", "theirs")


def test_an_unknown_name_lists_those_that_there_are() -> None:
    with pytest.raises(PluginError, match=r"'nonsense'; there are: .*qwen3-vl"):
        plugins.resolve("encoders", "nonsense")
