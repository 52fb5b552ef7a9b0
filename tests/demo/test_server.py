"""The server of the page, over HTTP: whom it answers, what it refuses, and how long it waits."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from served_pages import serving

from fairseq_guided_align.demo import server as module
from fairseq_guided_align.demo.server import MAX_BYTES, PageServer, Refusal
from fairseq_guided_align.errors import GuidedAlignError

PAGE = "<!doctype html><title>Übersetzen</title>"
POLICY = "default-src 'none'"
JSON = {"Content-Type": "application/json"}


class Asked:
    """An answer that repeats the question, and remembers it."""

    def __init__(self) -> None:
        self.questions: list[Any] = []

    def __call__(self, question: Any) -> object:
        self.questions.append(question)
        if question == "refuse":
            raise Refusal(422, "no answer to that", line=3)
        if question == "break":
            raise ZeroDivisionError("a defect")
        return {"again": question}


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def server(asked: Asked) -> Iterator[PageServer]:
    with serving(PAGE, POLICY, asked) as running:
        yield running


def ask(
    server: PageServer, method: str = "POST", path: str = "/translate", body: Any = '"a"', **headers: str
) -> tuple[int, Any]:
    """Status and body of a response; an answer's body is taken out of its JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    is_json = response.headers.get_content_type() == "application/json"
    return response.status, json.loads(content) if is_json and content else content.decode()


def raw(server: PageServer, request: str) -> bytes:
    """What comes back for these bytes, until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(request.encode())
        found = b""
        while chunk := connection.recv(4096):
            found += chunk
        return found


def test_the_page_and_what_protects_it(server: PageServer) -> None:
    assert server.address == f"http://127.0.0.1:{server.server_port}/"
    response = raw(server, f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n").decode()
    head, body = response.split("\r\n\r\n")
    assert body == PAGE
    lines = head.split("\r\n")
    assert lines[0].endswith("200 OK")
    for line in (
        f"Content-Security-Policy: {POLICY}", "X-Frame-Options: DENY", "X-Content-Type-Options: nosniff",
        "Cross-Origin-Resource-Policy: same-origin", "Cache-Control: no-store",
    ):  # fmt: skip
        assert line in lines
    assert "Python" not in head
    assert ask(server, "HEAD", "/") == (200, "")


def test_a_question_and_its_answer(server: PageServer, asked: Asked) -> None:
    question = {"text": "ein <b>Wort</b>", "beam": 3}
    assert ask(server, body=json.dumps(question), **JSON) == (200, {"again": question})
    own = {"Host": f"localhost:{server.server_port}", "Origin": f"http://localhost:{server.server_port}"}
    assert ask(server, **JSON, **own) == (200, {"again": "a"})
    assert ask(server, body='"refuse"', **JSON) == (422, {"error": {"message": "no answer to that", "line": 3}})


def test_a_defect_ends_one_answer_only(server: PageServer, capfd: pytest.CaptureFixture[str]) -> None:
    status, content = ask(server, body='"break"', **JSON)
    assert (status, list(content["error"])) == (500, ["message"])
    assert "a defect" not in content["error"]["message"]
    assert "ZeroDivisionError: a defect" in capfd.readouterr().err
    assert ask(server, **JSON)[0] == 200
    assert capfd.readouterr().err == ""


def test_other_hosts_are_refused_on_every_path(server: PageServer, asked: Asked) -> None:
    """A name of another site that leads here (DNS rebinding), another port, no port, no host, two of them."""
    port = server.server_port
    for host in (f"example.org:{port}", f"127.0.0.1:{port + 1}", "127.0.0.1", f"[::1]:{port}", f"0.0.0.0:{port}"):
        for method, path in (("GET", "/"), ("HEAD", "/"), ("GET", "/other"), ("POST", "/translate")):
            assert ask(server, method, path, Host=host, **JSON)[0] == 403, (host, method, path)
    assert b" 403 " in raw(server, "GET / HTTP/1.0\r\n\r\n")
    own = f"Host: 127.0.0.1:{port}\r\n"
    assert b" 403 " in raw(server, f"GET / HTTP/1.1\r\n{own}Host: example.org\r\n\r\n")
    assert b" 200 " in raw(server, f"GET / HTTP/1.1\r\n{own}\r\n")
    assert asked.questions == []


def test_other_origins_are_refused(server: PageServer, asked: Asked) -> None:
    port = server.server_port
    for origin in (
        "http://example.org", "null", f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}", "http://127.0.0.1",
        f"http://localhost:{port}", f"http://example.org:{port}",
    ):  # fmt: skip
        assert ask(server, Origin=origin, **JSON)[0] == 403, origin
        assert ask(server, "GET", "/", Origin=origin)[0] == 403, origin
    # A form of another page, in browsers that would not say where it comes from, has one of these types.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert ask(server, Content_Type=kind)[0] == 415, kind
    # What browsers ask before they send other types for another page.
    assert ask(server, "OPTIONS", Origin=f"http://127.0.0.1:{port}")[0] == 501
    assert asked.questions == []


def test_nothing_else_is_there(server: PageServer, asked: Asked) -> None:
    for path in ("/index.html", "/translate", "/../", "/etc/passwd", "/%2e%2e/etc/passwd", "/favicon.ico"):
        assert ask(server, "GET", path)[0] == 404, path
    assert ask(server, path="/", **JSON)[0] == 404
    for method in ("PUT", "DELETE", "TRACE", "CONNECT"):
        assert ask(server, method, "/")[0] == 501, method
    assert asked.questions == []


def test_questions_that_are_none(server: PageServer, asked: Asked) -> None:
    for body in ("", "{", "[" * 60_000, b"\xff\xfe", "NaN,"):
        assert ask(server, body=body, **JSON)[0] == 400, body[:10]
    head = f"POST /translate HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\nContent-Type: application/json\r\n"
    for length in (
        "",
        "Content-Length: -1\r\n",
        "Content-Length: ²\r\n",
        "Content-Length: 9\r\nTransfer-Encoding: x\r\n",
    ):
        assert b" 411 " in raw(server, f"{head}{length}\r\n"), length
    assert asked.questions == []


def test_large_questions_are_refused(server: PageServer, asked: Asked) -> None:
    longest = json.dumps("x" * (MAX_BYTES - 2))
    assert ask(server, body=longest, **JSON)[0] == 200
    for size in (MAX_BYTES - 1, 3_000_000):
        status, content = ask(server, body=json.dumps("x" * size), **JSON)
        assert (status, str(MAX_BYTES) in content["error"]["message"]) == (413, True)
    assert len(asked.questions) == 1
    head = f"POST /translate HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n"
    assert b" 431 " in raw(server, head + "".join(f"X-{n}: y\r\n" for n in range(150)) + "\r\n")


def test_a_browser_that_still_sends_sees_why_it_was_refused(server: PageServer) -> None:
    head = f"POST /translate HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(f"{head}Content-Length: 200000\r\n\r\n".encode())
        for _ in range(10):
            time.sleep(0.05)
            connection.sendall(b"x" * 20_000)
        assert b" 413 " in connection.recv(4096)


def test_two_questions_at_once() -> None:
    """Each answer waits until the other question is there too."""
    both = threading.Barrier(2, timeout=20)

    def answer(question: Any) -> object:
        both.wait()
        return question

    with serving(PAGE, POLICY, answer) as server:
        found: dict[str, Any] = {}
        threads = [
            threading.Thread(target=lambda name=name: found.update({name: ask(server, body=f'"{name}"', **JSON)}))
            for name in "ab"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {"a": (200, "a"), "b": (200, "b")}


def test_slow_requests_are_cut_off(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READING_SECONDS", 0.5)
    with serving(PAGE, POLICY, asked) as server:
        head = f"POST /translate HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\nContent-Type: application/json\r\n"
        for beginning in ("", "GET / HT", head, f"{head}Content-Length: 3\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
                connection.sendall(beginning.encode())
                start = time.monotonic()
                # A byte from time to time does not put it off.
                with suppress(ConnectionError):
                    while time.monotonic() - start < 5:
                        connection.sendall(b"x")
                        time.sleep(0.05)
                assert time.monotonic() - start < 5
    assert asked.questions == []


def test_connections_are_limited(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 2)
    with serving(PAGE, POLICY, asked) as server:
        here = ("127.0.0.1", server.server_port)
        with ExitStack() as stack:
            *_, third = [stack.enter_context(socket.create_connection(here, timeout=20)) for _ in range(3)]
            start = time.monotonic()
            assert third.recv(1) == b""
            assert time.monotonic() - start < 5
        until = time.monotonic() + 10
        # Those that are closed make room.
        while True:
            try:
                assert ask(server, **JSON)[0] == 200
                break
            except (http.client.RemoteDisconnected, ConnectionError):
                assert time.monotonic() < until


def test_other_machines_do_not_reach_it(server: PageServer) -> None:
    """It listens at 127.0.0.1, so that another address of this machine, as others have for it, finds nobody there."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.server_port), timeout=5)


def test_a_port_that_is_taken(server: PageServer) -> None:
    port = server.server_port
    with pytest.raises(GuidedAlignError) as error:
        PageServer(port)
    assert str(error.value) == f"--port {port}: another program has it; choose another, or 0 for any that is free"
