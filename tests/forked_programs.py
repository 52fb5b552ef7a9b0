"""Programs that start at once: a server has imported what takes seconds, and each call is a fork of it.

A call has its own arguments, folder, environment and standard streams, as a process of its own would have.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

CLIENT = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    call = json.dumps([{module!r}, sys.argv, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(call).to_bytes(8, "little")], [0, 1, 2])
    server.sendall(call)
    sys.exit(int(server.makefile().read() or 1))
"""


@contextmanager
def forked_programs(folder: Path, modules: Mapping[str, str]) -> Iterator[None]:
    """Puts a program for each name into the folder, which runs the module as ``python -W ignore -m`` does."""
    # Names of sockets have 104 bytes at most, on macOS
    short = tempfile.TemporaryDirectory(prefix="programs-")
    address = f"{short.name}/server"
    for name, module in modules.items():
        (folder / name).write_text(CLIENT.format(python=sys.executable, address=address, module=module), "utf-8")
        (folder / name).chmod(0o755)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen(16)
        command = [sys.executable, "-W", "ignore", __file__, str(server.fileno())]
        process = subprocess.Popen(command, pass_fds=[server.fileno()], start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        short.cleanup()


def serve(server: socket.socket) -> None:
    import fairseq  # noqa: F401
    import fairseq_cli.train  # noqa: F401
    import torch  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server.settimeout(2)
    tests = os.getppid()
    # Tests that are killed take it with them
    while os.getppid() == tests:
        try:
            call, _ = server.accept()
        except TimeoutError:
            continue
        call.setblocking(True)
        if os.fork() == 0:
            server.close()
            answer(call)
        call.close()


def answer(call: socket.socket) -> None:
    """Runs a call in a fork of its own, and sends its exit status."""
    size, streams, _, _ = socket.recv_fds(call, 8, 3)
    module, argv, folder, environment = json.loads(call.makefile().read(int.from_bytes(size, "little")))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        call.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        # The server's own have the buffers of other files
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
        sys.argv = argv
        os._exit(status_of(module))
    _, status = os.waitpid(child, 0)
    call.sendall(str(os.waitstatus_to_exitcode(status) & 255).encode())
    os._exit(0)


def status_of(module: str) -> int:
    """What a process of its own would exit with."""
    import runpy
    import traceback

    status: object = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status if isinstance(status, int) else int(status is not None)


if __name__ == "__main__":
    sys.path.pop(0)
    serve(socket.socket(fileno=int(sys.argv[1])))
