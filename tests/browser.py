"""Headless Chromium through chromedriver's own protocol, where both are installed."""

import base64
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx2

__all__ = ["KEYS", "MISSING", "Browser", "browser"]

_CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
_DRIVER: Final = shutil.which("chromedriver")
MISSING: Final = "" if _CHROMIUM and _DRIVER else "needs chromium and chromedriver"
"""Why there is no browser; empty where there is one."""

KEYS: Final = {"Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015"} | {
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Tab": "\ue004",
}
_ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"
_UNTIL: Final = """
const [condition, done] = [new Function(`return (${arguments[0]})`), arguments[1]];
const look = () => {
  let is;
  try { is = condition(); } catch { is = undefined; }
  // What is true is also painted two frames later.
  if (is) requestAnimationFrame(() => requestAnimationFrame(() => done(is instanceof Node || is)));
  else setTimeout(look, 15);
};
look();
"""


class Browser:
    """One window."""

    def __init__(self, driver: httpx2.Client, session: str) -> None:
        self._driver = driver
        self._session = session

    def open(self, address: str, width: int = 1000, height: int = 800) -> None:
        """Go to a page, in a window with room of this size."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        command = "Emulation.setDeviceMetricsOverride"
        self._post("goog/cdp/execute", cmd=command, params=metrics)
        self._post("url", url=address)

    def enter(self, selector: str = "iframe") -> None:
        """Look into a frame from now on; without a selector, at the whole page."""
        found = self._find(selector) if selector else None
        self._post("frame", id=found and {_ELEMENT: found})

    def until(self, condition: str) -> Any:
        """Wait until an expression of JavaScript is true, and return it."""
        return self._post("execute/async", script=_UNTIL, args=[condition])

    def get(self, expression: str) -> Any:
        """Return what an expression of JavaScript is."""
        return self._post("execute/sync", script=f"return ({expression})", args=[])

    def click(self, selector: str) -> None:
        """Click on the first element that a selector finds."""
        self._post(f"element/{self._find(selector)}/click")

    def upload(self, file: str, selector: str) -> None:
        """Choose a file in the field for files that a selector finds."""
        self._post(f"element/{self._find(selector)}/value", text=file)

    def type(self, text: str, selector: str = "") -> None:
        """Press keys, in an element that is emptied first, or where the focus is."""
        if selector:
            self._post(f"element/{self._find(selector)}/clear")
            self.click(selector)
        strokes = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self._post("actions", actions=[{"type": "key", "id": "keys", "actions": strokes}])

    def screenshot(self) -> bytes:
        """Return what the window shows, as PNG."""
        self._get("screenshot")  # which brings frames' latest content to the screen
        return base64.b64decode(self._get("screenshot"))

    def errors(self) -> list[str]:
        """Return what the console says is wrong since the last call."""
        logged = self._post("se/log", type="browser")
        return [entry["message"] for entry in logged if entry["level"] == "SEVERE"]

    def _find(self, selector: str) -> str:
        found: str = self._post("element", using="css selector", value=selector)[_ELEMENT]
        return found

    def _get(self, command: str) -> Any:
        return _value(self._driver.get(f"{self._session}/{command}"))

    def _post(self, command: str, **given: Any) -> Any:
        return _value(self._driver.post(f"{self._session}/{command}", json=given))


def _value(answer: httpx2.Response) -> Any:
    value = answer.json()["value"]
    if answer.is_error:
        raise AssertionError(f"{value['error']}: {value['message'].splitlines()[0]}")
    return value


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium, and end it."""
    assert _DRIVER
    command = [_DRIVER, "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as driver:
        try:
            assert driver.stdout
            lines = (line.decode() for line in driver.stdout)
            port = next(m[1] for line in lines if (m := re.search(r"success.* port (\d+)", line)))
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                session = _value(client.post("/session", json=_wanted()))["sessionId"]
                try:
                    yield Browser(client, f"/session/{session}")
                finally:
                    client.delete(f"/session/{session}")
        finally:
            driver.terminate()


def _wanted() -> dict[str, Any]:
    options = {
        "binary": _CHROMIUM,
        "args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"],
    }
    wanted = {
        "browserName": "chrome",
        "goog:chromeOptions": options,
        "goog:loggingPrefs": {"browser": "SEVERE"},
    }
    return {"capabilities": {"alwaysMatch": wanted}}
