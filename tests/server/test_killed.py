"""A server that was killed leaves nothing behind that the next one stumbles over."""

import signal
import sys

import pytest

from .conftest import PATIENCE, Start
from .test_http import post
from .test_stdio import answer, call, raw

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")


def test_a_killed_stdio_server_loses_no_picture(
    command: list[str], environment: dict[str, str]
) -> None:
    totals = []
    for number in (7, 8):
        with raw(command, environment, call(number, "index_images")) as process:
            totals.append(answer(process, number)["result"]["structuredContent"])
            process.send_signal(signal.SIGKILL)
            assert process.wait(PATIENCE) == -signal.SIGKILL
    first, second = totals
    assert first["encoded"] > 0
    assert (second["encoded"], second["total_images"]) == (0, first["total_images"])


def test_a_killed_http_server_is_followed_by_another_one(start: Start) -> None:
    for _ in range(2):
        server = start()
        assert post(server) == 200
        server.process.kill()
        assert server.process.wait(PATIENCE) == -signal.SIGKILL
