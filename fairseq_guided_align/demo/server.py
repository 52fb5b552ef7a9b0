"""A server for one page and its questions, for browsers on this machine alone.

A page of another origin can have the user's browser send requests here, also under a name of its own that leads to this
machine (DNS rebinding). So a request counts only if it names this server as its host, and comes from its own page.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import socketserver
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fairseq_guided_align.errors import GuidedAlignError

ADDRESS = "127.0.0.1"
HOST_NAMES = (ADDRESS, "localhost")
"""What a request may call this machine."""
QUESTIONS = "/translate"
"""The path that the page sends its questions to."""
MAX_BYTES = 2**16
"""Length of the longest question, in bytes."""
DISCARDED_BYTES = 2**22
"""Bytes of a longer question that are read and thrown away: while a browser sends, it does not read the answer."""
READING_SECONDS = 15.0
"""Seconds in which a request must have come in."""
MAX_CONNECTIONS = 32
"""Connections at one time; further ones are closed at once."""

Answer = Callable[[Any], object]
"""Gives the answer to a question; JSON can hold both. Several threads call it at a time."""


class Refusal(Exception):
    """A question that gets no answer.

    :param status: HTTP status.
    :param details: more for the page than the message, such as a line.
    """

    def __init__(self, status: int, message: str, **details: object) -> None:
        super().__init__(message)
        self.status = status
        self.details = details


class PageServer(ThreadingHTTPServer):
    """Holds a port of this machine, and serves a page there. Nothing of the file system is served.

    :param port: 0: any that is free.
    :raises GuidedAlignError: the port is taken, or not to be had.
    """

    daemon_threads = True
    block_on_close = False
    # On Windows this option would share a port that another program listens at.
    allow_reuse_address = os.name == "posix"
    page: bytes
    policy: str
    answer: Answer

    def __init__(self, port: int) -> None:
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            reason = "another program has it" if error.errno == errno.EADDRINUSE else "it is for administrators"
            raise GuidedAlignError(f"--port {port}: {reason}; choose another, or 0 for any that is free") from None
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def serve(self, page: str, policy: str, answer: Answer) -> None:
        """Serve until interrupted.

        :param page: HTML.
        :param policy: the page's content security policy.
        :param answer: gives the answers to the page's questions.
        """
        self.page, self.policy, self.answer = page.encode("utf-8"), policy, answer
        self.serve_forever()

    @property
    def address(self) -> str:
        """Address of the page."""
        return f"http://{ADDRESS}:{self.server_port}/"

    def server_bind(self) -> None:
        # The parent's would ask the network for this machine's name.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser that went away is no defect.
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection with one request."""

    server: PageServer
    server_version = "fairseq-guided-align"
    sys_version = ""
    timeout = READING_SECONDS

    def setup(self) -> None:
        super().setup()
        # The socket's timeout begins anew with each byte; this one does not.
        self._clock = threading.Timer(READING_SECONDS, self._hang_up)
        self._clock.daemon = True
        self._clock.start()

    def finish(self) -> None:
        self._clock.cancel()
        super().finish()

    def _hang_up(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        refusal = self._stranger()
        if refusal is not None:
            self.send_error(403, refusal)
        return refusal is None

    def _stranger(self) -> str | None:
        """Why a request is none of this server's page; None if it is one."""
        port = self.server.server_port
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in [f"{name}:{port}" for name in HOST_NAMES]:
            return f"expected the host {ADDRESS}:{port}; got {', '.join(hosts) or 'none'}"
        for origin in self.headers.get_all("Origin", []):
            if origin.lower() != f"http://{hosts[0].lower()}":
                return f"expected requests of the page at http://{ADDRESS}:{port}/; got one of {origin}"
        return None

    def do_GET(self) -> None:
        if self.path.partition("?")[0] == "/":
            self._send(200, "text/html; charset=utf-8", self.server.page)
        else:
            self.send_error(404, "there is one page here, at /")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        try:
            self._send_json(200, self._answered())
        except Refusal as refusal:
            self._send_json(refusal.status, {"error": {"message": str(refusal), **refusal.details}})

    def _answered(self) -> object:
        """:raises Refusal: there is no answer."""
        body = self._body()
        self._clock.cancel()
        try:
            question = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refusal(400, f"expected a question in JSON: {error}") from None
        try:
            return self.server.answer(question)
        except Refusal:
            raise
        except Exception:
            traceback.print_exc()
            raise Refusal(500, "this went wrong in the program; the terminal says how") from None

    def _body(self) -> bytes:
        if self.path != QUESTIONS:
            raise Refusal(404, f"questions go to {QUESTIONS}")
        # Another origin's page can send other types without asking first.
        if self.headers.get_content_type() != "application/json":
            raise Refusal(415, "expected a question of the type application/json")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            raise Refusal(411, "expected the length of the question")
        if int(length[:20]) > MAX_BYTES:
            self._discard(int(length[:20]))
            raise Refusal(413, f"expected at most {MAX_BYTES} bytes of text; got {length[:20]}: translate less at once")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Refusal(400, f"expected {length} bytes; got {len(body)}")
        return body

    def _discard(self, length: int) -> None:
        left = min(length, DISCARDED_BYTES)
        while left:
            read = len(self.rfile.read1(min(left, 2**16)))
            left = left - read if read else 0

    def _send_json(self, status: int, content: object) -> None:
        self._send(status, "application/json", json.dumps(content).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Content-Security-Policy", self.server.policy),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """As the parent's, in JSON."""
        self._send_json(code, {"error": {"message": message or self.responses[code][0]}})

    def log_message(self, format: str, *args: Any) -> None:
        """The terminal is for what goes wrong."""
