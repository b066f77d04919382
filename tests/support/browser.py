"""Headless Chromium, spoken to over two pipes in its DevTools protocol: a JSON object, then a NUL.

It needs no package: ``--remote-debugging-pipe`` reads file 3 and writes file 4.
"""

import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROGRAM = next(
    (p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), ""
)
_SECONDS = 120.0


class Browser:
    """One page.

    Args:
      folder: for its profile.

    Attributes:
      requests: addresses that the page asked for.
      errors: what the page's console says is wrong, policies that were violated included.
    """

    def __init__(self, folder: Path, wide: int = 1100, high: int = 900) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []
        ours, theirs = os.pipe(), os.pipe()
        there = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (theirs[0], ours[1])]
        self._reading, self._writing = ours[0], theirs[1]

        def hand_over() -> None:
            for place, fd in enumerate(there, 3):
                os.dup2(fd, place)

        command = [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        command += [f"--user-data-dir={folder}", f"--window-size={wide},{high}", "about:blank"]
        self._process = subprocess.Popen(
            command,
            preexec_fn=hand_over,  # noqa: PLW1509 (no other thread holds a lock here)
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for fd in (theirs[0], ours[1], *there):
            os.close(fd)
        self._number, self._pending = 0, b""
        self._session: dict[str, str] = {}

    def __enter__(self) -> Self:
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._reading)
        os.close(self._writing)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol and its result; AssertionError for an error or silence."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _SECONDS
        while True:
            answer = self._message(deadline)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            self._note(answer)

    def _message(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._pending:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._reading], [], [], left)[0], "the browser is silent"
            data = os.read(self._reading, 1 << 20)
            assert data, "the browser has ended"
            self._pending += data
        text, _, self._pending = self._pending.partition(b"\0")
        return dict(json.loads(text))

    def _note(self, event: dict[str, Any]) -> None:
        about = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif event.get("method") == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.errors.append(about["entry"]["text"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(about["exceptionDetails"]))

    def open(self, url: str) -> None:
        self.ask("Page.navigate", url=url)

    def value(self, script: str) -> Any:
        """What an expression is in the page, its promise kept."""
        done = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def until(self, script: str, seconds: float = _SECONDS) -> Any:
        """The value of an expression, asked for again until it is true."""
        deadline = time.monotonic() + seconds
        while not (found := self.value(script)):
            assert time.monotonic() < deadline, f"never true: {script}"
            time.sleep(0.05)
        return found
