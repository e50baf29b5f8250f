"""What continuous integration runs is there, read off its files: nothing here runs them."""

import re
import shlex
import subprocess
from typing import Any, Final

import pytest
import yaml

from .conftest import REPOSITORY

FILES: Final = sorted((REPOSITORY / ".github" / "workflows").iterdir())
WORKFLOWS: Final[dict[str, dict[Any, Any]]] = {
    file.name: yaml.safe_load(file.read_text("utf-8")) for file in FILES
}
STEPS: Final = [
    (f"{name}: {number}", step)
    for name, workflow in WORKFLOWS.items()
    for job in workflow["jobs"].values()
    for number, step in enumerate(job["steps"])
]
LINES: Final = [line for _, step in STEPS for line in step.get("run", "").splitlines()]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_runs_on_pushes_and_requests_and_may_only_read(name: str) -> None:
    workflow = WORKFLOWS[name]
    assert f"{workflow['name']}.yml" == name
    # In YAML 1.1, which the parser speaks, the key "on" is a truth.
    assert workflow[True] == {"push": {"branches": ["main"]}, "pull_request": None}
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow.keys() == {"name", True, "permissions", "jobs"}
    for job in workflow["jobs"].values():
        assert job.keys() <= {"runs-on", "strategy", "env", "steps"}
        assert job["runs-on"] == "ubuntu-latest"
        assert job["steps"][0] == {"uses": "actions/checkout@v4"}


@pytest.mark.parametrize("step", [step for _, step in STEPS], ids=[name for name, _ in STEPS])
def test_a_step_uses_an_action_of_one_version_or_runs_something(step: dict[str, Any]) -> None:
    assert step.keys() <= {"name", "if", "uses", "with", "run"}
    assert ("uses" in step) != ("run" in step)
    assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/x@v1"))
    done = subprocess.run(["bash", "-n", "-c", step.get("run", ":")], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_what_the_steps_run_of_this_repository_is_there() -> None:
    words = [word for line in LINES for word in shlex.split(line)]
    files = {word for word in words if re.match(r"(?:docker|\.ci)/", word)}
    assert files >= {".ci/run", "docker/Dockerfile", "docker/Dockerfile.cuda"}
    assert all((REPOSITORY / file).is_file() for file in files)
    targets = re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {words[at + 1] for at, word in enumerate(words) if word == "make"} <= set(targets)
    assert "python -m tests.conformance --required" in "\n".join(LINES)


def test_every_dockerfile_is_built_or_checked_and_the_server_in_it_asked_if_it_is_well() -> None:
    run = "\n".join(LINES)
    for file in (REPOSITORY / "docker").glob("Dockerfile*"):
        assert re.search(rf"docker build .*-f docker/{file.name} ", run)
    assert "--build-arg EXTRAS" in run
    assert ".State.Health.Status" in run


def test_images_are_built_with_the_extras_that_are_taken_elsewhere() -> None:
    (job,) = (job for job in WORKFLOWS["images.yml"]["jobs"].values() if "strategy" in job)
    built = set(job["strategy"]["matrix"]["extras"])
    default = re.findall(r"^ARG EXTRAS=(.+)$", (REPOSITORY / "docker/Dockerfile").read_text(), re.M)
    compose = yaml.safe_load((REPOSITORY / "docker/compose.yaml").read_text("utf-8"))
    assert built == {*default, compose["services"]["server"]["build"]["args"]["EXTRAS"]}


def test_conformance_runs_on_the_node_that_it_needs() -> None:
    from tests.conformance.tools import NODE

    (node,) = (step["with"] for _, step in STEPS if "setup-node" in step.get("uses", ""))
    assert NODE.startswith(f"node@{node['node-version']}.")
