"""What a check finds."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Check", "DoctorReport", "State", "error", "ok", "warning"]

State = Literal["ok", "warning", "error"]


class Check(BaseModel):
    """One line of ``doctor``: what was looked at, how it is, and what to do about it."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: State
    message: str
    mend: str = Field(
        default="", description="What to do, most often a command; empty where all is well."
    )
    can_fix: bool = Field(default=False, description="Whether `doctor --fix` does it.")


class DoctorReport(BaseModel):
    """All checks, and with ``--fix`` what was done before they were made again."""

    checks: list[Check]
    fixed: list[str]

    @property
    def is_ill(self) -> bool:
        """Whether there is an error."""
        return any(check.state == "error" for check in self.checks)


def ok(name: str, message: str) -> Check:
    """Return a check that found all well."""
    return Check(name=name, state="ok", message=message)


def warning(name: str, message: str, mend: str, *, can_fix: bool = False) -> Check:
    """Return a check that found something to know of."""
    return Check(name=name, state="warning", message=message, mend=mend, can_fix=can_fix)


def error(name: str, message: str, mend: str, *, can_fix: bool = False) -> Check:
    """Return a check that found what keeps the library from working."""
    return Check(name=name, state="error", message=message, mend=mend, can_fix=can_fix)
