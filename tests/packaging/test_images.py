"""What the container files promise, read off them: no daemon builds them here."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from typer.main import get_command

from mcp_vlsearch.cli import app
from mcp_vlsearch.settings import load_settings

from .conftest import REPOSITORY

DOCKER: Final = REPOSITORY / "docker"
DOCKERFILES: Final = ("Dockerfile", "Dockerfile.cuda")
START: Final = DOCKER / "start.sh"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
Instructions = list[tuple[str, str]]


def instructions(name: str) -> Instructions:
    """Return the instructions of a Dockerfile with their arguments."""
    text = (DOCKER / name).read_text("utf-8")
    lines = re.sub(r"\\\n", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [
        (word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines) if word
    ]


def last_stage(name: str) -> Instructions:
    found = instructions(name)
    starts = [place for place, (word, _) in enumerate(found) if word == "FROM"]
    assert len(starts) == 2, "one stage builds, the other one has only what runs"
    return found[starts[-1] :]


def settings_named(text: str) -> set[str]:
    return {name.lower() for name in re.findall(r"\bMCP_VLSEARCH_([A-Z_]+)\b", text)}


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_runs_as_a_user_who_is_not_root(name: str) -> None:
    (user,) = (rest for word, rest in last_stage(name) if word == "USER")
    assert user not in ("root", "0")
    assert any(f"useradd --uid 10001 --create-home {user}" in rest for _, rest in last_stage(name))


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_keeps_models_and_library_in_volumes_and_says_if_it_is_well(name: str) -> None:
    stage = dict(last_stage(name))
    assert stage["VOLUME"] == '["/library", "/models"]'
    assert "/healthz" in stage["HEALTHCHECK"]
    assert stage["EXPOSE"] == "8765"
    assert stage["ENTRYPOINT"] == '["start"]'
    assert "HF_HOME=/models" in stage["ENV"]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_is_made_of_pinned_versions(name: str) -> None:
    for word, rest in instructions(name):
        if word == "FROM":
            assert re.fullmatch(r"[\w/]+:\d+\.\d+\.\d+[\w.-]*( AS build)?", rest)
    assert any("pip install -c constraints.txt" in rest for _, rest in instructions(name))


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_is_copied_into_an_image_is_there_and_not_ignored(name: str) -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignored
    for word, rest in instructions(name):
        if word == "COPY" and "--from" not in rest:
            *sources, _ = (part for part in rest.split() if not part.startswith("--"))
            for source in sources:
                assert (REPOSITORY / source).exists()
                assert f"!{source}" in ignored


def test_extras_of_images_are_extras_of_the_project() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    texts = [rest for name in DOCKERFILES for _, rest in instructions(name)]
    asked = [text.partition("=")[2] for text in texts if text.startswith("EXTRAS=")]
    asked.append(COMPOSE["services"]["server"]["build"]["args"]["EXTRAS"])
    assert len(asked) == 3
    for extra in ",".join(asked).split(","):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE)


@pytest.mark.parametrize("name", [*DOCKERFILES, "compose.yaml", "start.sh"])
def test_variables_of_container_files_are_settings(name: str) -> None:
    text = (DOCKER / name).read_text("utf-8")
    assert settings_named(text) <= set(type(load_settings({}, {})).model_fields)


def test_services_of_the_compose_file_have_settings_that_load_and_go_together() -> None:
    environment = COMPOSE["services"]["server"]["environment"]
    settings = load_settings({"library": "/library"}, environment)
    assert (settings.encoder, settings.index) == ("remote", "milvus")
    for url in (settings.encoder_url, settings.milvus_uri):
        assert url is not None
        host = url.split("//")[1].split(":")[0]
        assert host in COMPOSE["services"]
        assert host in COMPOSE["services"]["server"]["depends_on"]
    vllm = COMPOSE["services"]["vllm"]["command"]
    assert vllm[vllm.index("--model") + 1] == settings.model
    assert vllm[vllm.index("--runner") + 1] == "pooling"
    assert settings.encoder_url == f"http://vllm:{vllm[vllm.index('--port') + 1]}"


def test_the_compose_file_pins_images_and_publishes_only_the_server_on_loopback() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        assert "build" in service or re.fullmatch(r"[\w/-]+:v\d+\.\d+\.\d+", service["image"])
        assert ("ports" in service) == (name == "server")
        assert {
            volume.split(":")[0] for volume in service["volumes"] if volume[0] not in "$./"
        } <= set(COMPOSE["volumes"])
    assert services["server"]["ports"] == ["127.0.0.1:8765:8765"]
    assert services["server"]["secrets"] == list(COMPOSE["secrets"])
    assert all("healthcheck" in services[name] for name in services["server"]["depends_on"])


@pytest.fixture
def started(tmp_path: Path) -> Path:
    """Return a folder with a program that says how it was started, in the place of ours."""
    program = tmp_path / "mcp-vlsearch"
    program.write_text('#!/bin/sh\necho "$MCP_VLSEARCH_TOKEN $*"\n')
    program.chmod(0o755)
    return tmp_path


def start(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", START, "--watch"], env={"PATH": path, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_container_without_a_token_does_not_start(started: Path) -> None:
    done = start(started, TOKEN_FILE=str(started / "none"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no token: mount the secret")


def test_a_container_starts_with_the_token_of_its_secret_or_its_environment(started: Path) -> None:
    secret = started / "token"
    secret.write_text("from-secret\n")
    arguments = "serve --transport http --host 0.0.0.0 --port 8765 --watch\n"
    assert start(started, TOKEN_FILE=str(secret)).stdout == f"from-secret {arguments}"
    both = start(started, TOKEN_FILE=str(secret), MCP_VLSEARCH_TOKEN="from-environment")
    assert both.stdout == f"from-environment {arguments}"


def test_the_command_of_a_container_is_one_of_ours() -> None:
    (line,) = re.findall(r"^exec mcp-vlsearch (.*)$", START.read_text("utf-8"), re.MULTILINE)
    name, *arguments = shlex.split(line.replace('"$@"', ""))
    command: Any = vars(get_command(app))["commands"][name]
    parsed = command.make_context(name, arguments).params
    assert (parsed["host"], parsed["port"]) == ("0.0.0.0", 8765)
    assert parsed["transport"].value == "http"
