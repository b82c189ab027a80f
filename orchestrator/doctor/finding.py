"""A finding: what was looked at, how it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from orchestrator.tracking.address import redact

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line. No message holds a password or a token."""

    check: str
    state: State
    message: str


class Findings:
    """Collects them in the order of looking."""

    def __init__(self, tell: Callable[[Finding], None] = lambda finding: None) -> None:
        self.found: list[Finding] = []
        self._tell = tell

    def ok(self, check: str, message: str) -> None:
        self._add(check, "ok", message)

    def warn(self, check: str, message: str) -> None:
        self._add(check, "warn", message)

    def fail(self, check: str, message: str) -> None:
        self._add(check, "fail", message)

    def take(self, finding: Finding) -> None:
        """One that was made elsewhere."""
        self._add(finding.check, finding.state, finding.message)

    @property
    def failed(self) -> bool:
        return any(finding.state == "fail" for finding in self.found)

    @contextmanager
    def checking(self, check: str) -> Iterator[None]:
        """What this program refuses inside is a finding, not the end."""
        try:
            yield
        except (ValueError, OSError) as error:
            self.fail(check, str(error).removeprefix(f"{check} "))

    def _add(self, check: str, state: State, message: str) -> None:
        finding = Finding(check=check, state=state, message=redact(" ".join(message.split())))
        self.found.append(finding)
        self._tell(finding)
