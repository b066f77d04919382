"""The page of ``firmware.watch``, for the browsers of this computer alone.

    /TOKEN/                    the page, page/watch.html
    /TOKEN/about               what is watched, JSON
    /TOKEN/state?since=N       how things stand, and the frames after N, JSON
    /TOKEN/frame/N.png         the frame as the camera saw it
    /TOKEN/levels/N.png        and as the network does
    /TOKEN/wrong               POST {"frame": N, "label": "car"}: keep it as that

It listens on 127.0.0.1. Refused are another Host than this computer's (a name of others that was turned to
this address), a path without the token, a request from another origin, and a body of more than MOST_BODY
bytes. The page may load nothing but the addresses above, and no page of others may read or frame it.
"""

import base64
import dataclasses
import hashlib
import json
import re
import secrets
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from firmware.seen import Eyes, Memory, Seen
from loggrad_tf import json_base
from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase

ADDRESS = "127.0.0.1"
MOST_BODY = 1000
# For a request to come, and for its answer to go.
_SECONDS = 10.0
_PAGE = Path(__file__).parent / "page" / "watch.html"
_PICTURE = re.compile(r"(frame|levels)/(\d{1,15})\.png")


@dataclasses.dataclass(frozen=True)
class Answer:
    """Of a request: status, type and bytes of the body."""

    status: HTTPStatus
    kind: str
    body: bytes


@dataclasses.dataclass(frozen=True)
class Correction(JsonBase):
    """What a POST says: the number of a frame, and the class that it is."""

    frame: int
    label: str


class Refused(Exception):
    """A request that is not answered as it wished: a status, and why."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Server(ThreadingHTTPServer):
    """Serves the page; a thread a request.

    Args:
      about: what is watched, for the page's head.

    Attributes:
      token: of this call of the command; whoever does not know it gets nothing.
    """

    daemon_threads = True

    def __init__(self, memory: Memory, eyes: Eyes, about: dict[str, object]) -> None:
        self.memory, self.eyes = memory, eyes
        self.about = json.dumps(about).encode()
        self.page = _PAGE.read_bytes()
        self.policy = _policy(self.page.decode())
        self.token = secrets.token_urlsafe(24)
        super().__init__((ADDRESS, 0), _Handler)
        self.hosts = tuple(f"{name}:{self.server_port}" for name in (ADDRESS, "localhost"))

    @property
    def url(self) -> str:
        return f"http://{self.hosts[0]}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away in the middle is no error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _policy(page: str) -> str:
    """The page's own script and style, and what this server has."""
    hashes = []
    for tag in ("script", "style"):
        inside = page.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        hashes.append(f"{tag}-src 'sha256-{digest}'")
    rest = "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; {'; '.join(hashes)}; {rest}; frame-ancestors 'none'"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = _SECONDS
    server_version, sys_version = "LogGrad", ""

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, answer: Callable[[str], Answer]) -> None:
        try:
            found = answer(self._place())
        except Refused as refused:
            found = Answer(refused.status, "application/json", _json({"error": str(refused)}))
        self.send_response(found.status)
        self.send_header("Content-Type", found.kind)
        self.send_header("Content-Length", str(len(found.body)))
        self.end_headers()
        self.wfile.write(found.body)

    def end_headers(self) -> None:
        for name, value in (
            ("Content-Security-Policy", self.server.policy),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """A terminal has better to tell than requests."""

    def _place(self) -> str:
        """The path behind the token, if the request may be answered at all."""
        if self.headers.get_all("Host", []) not in ([host] for host in self.server.hosts):
            raise Refused(HTTPStatus.FORBIDDEN, "another host")
        origin = self.headers.get("Origin")
        if origin is not None and origin not in (f"http://{host}" for host in self.server.hosts):
            raise Refused(HTTPStatus.FORBIDDEN, "another origin")
        token, slash, place = urlsplit(self.path).path.removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(token.encode(), self.server.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN, "not the address that firmware.watch printed")
        return place

    def _get(self, place: str) -> Answer:
        if place == "":
            return Answer(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page)
        if place == "about":
            return Answer(HTTPStatus.OK, "application/json", self.server.about)
        if place == "state":
            since = parse_qs(urlsplit(self.path).query).get("since", ["-1"])[0]
            if not re.fullmatch(r"-1|\d{1,15}", since):
                raise Refused(HTTPStatus.BAD_REQUEST, "since: no number of a frame")
            return Answer(HTTPStatus.OK, "application/json", _json(self.server.memory.state(int(since))))
        if match := _PICTURE.fullmatch(place):
            seen = self._held(int(match[2]))
            eyes = self.server.eyes
            drawn = eyes.camera_saw if match[1] == "frame" else eyes.network_sees
            return Answer(HTTPStatus.OK, "image/png", drawn(seen.codes))
        raise Refused(HTTPStatus.NOT_FOUND, "nothing there")

    def _held(self, number: int) -> Seen:
        seen = self.server.memory.frame(number)
        if seen is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"frame {number} is not held any more")
        return seen

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"\d{1,15}", length):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "no Content-Length")
        if int(length) > MOST_BODY:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MOST_BODY} bytes")
        return self.rfile.read(int(length))

    def _post(self, place: str) -> Answer:
        if place != "wrong":
            raise Refused(HTTPStatus.NOT_FOUND, "nothing there")
        memory = self.server.memory
        try:
            asked = Correction.from_json(json_base.parse(self._body(), "the request"))
        except LogGradError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from None
        if asked.label not in memory.labels:
            raise Refused(HTTPStatus.BAD_REQUEST, "no class that can be kept")
        seen = self._held(asked.frame)
        try:
            path = memory.correct(seen, asked.label)
        except (LogGradError, OSError) as error:
            raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, " ".join(str(error).split())) from None
        judged = memory.class_names[seen.label]
        print(f"frame {asked.frame}, judged {judged}: kept as {asked.label}, {path.name}", flush=True)
        return Answer(
            HTTPStatus.OK, "application/json", _json({"file": str(path.relative_to(memory.folder.parent))})
        )


def _json(values: dict[str, object]) -> bytes:
    return json.dumps(values).encode()
