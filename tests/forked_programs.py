"""Programs that start at once: a server has imported what takes seconds, and each call is a fork of it.

A call has its own arguments, folder, environment and standard streams, as a process of its own would have. Signals
reach it, and it ends with the program that was called.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CLIENT = """#!{python} -SE
import json, os, signal, socket, sys
module, executable, arguments = {module!r}, None, sys.argv[1:]
if not module:
    executable = sys.argv[0]
    while arguments[:1] == ["-W"]:
        del arguments[:2]
    if len(arguments) < 2 or arguments[0] != "-m" or arguments[1].split(".")[0] not in {packages!r}:
        os.execv({python!r}, [{python!r}, *sys.argv[1:]])
    module, *arguments = arguments[1:]
signals = signal.SIGINT, signal.SIGTERM
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    call = json.dumps([module, [sys.argv[0], *arguments], os.getcwd(), dict(os.environ), executable]).encode()
    socket.send_fds(server, [len(call).to_bytes(8, "little")], [0, 1, 2])
    server.sendall(call)
    answers = server.makefile()
    child = int(answers.readline())
    for one in signals:
        signal.signal(one, lambda number, _: os.kill(child, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    status = int(answers.readline())
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""
PACKAGES = ("benchmarks", "examples", "fairseq_cli", "fairseq_guided_align")


@dataclass(frozen=True)
class Programs:
    """Programs of a server.

    :param address: the server's socket.
    :param python: a program in place of this interpreter. It forks ``-m MODULE`` of :data:`PACKAGES`, with itself as
        ``sys.executable``; all other calls are of the interpreter itself.
    """

    address: str
    python: Path

    def write(self, folder: Path, modules: Mapping[str, str]) -> None:
        """Puts a program for each name into the folder, which runs the module as ``python -W ignore -m`` does."""
        for name, module in modules.items():
            text = CLIENT.format(python=sys.executable, address=self.address, module=module, packages=PACKAGES)
            (folder / name).write_text(text, "utf-8")
            (folder / name).chmod(0o755)


@contextmanager
def forked_programs() -> Iterator[Programs]:
    """A server, which ends with this."""
    # Names of sockets have 104 bytes at most, on macOS
    with tempfile.TemporaryDirectory(prefix="programs-") as short:
        programs = Programs(f"{short}/server", Path(short) / "python")
        programs.write(Path(short), {"python": ""})
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(programs.address)
            server.listen(16)
            command = [sys.executable, "-W", "ignore", __file__, str(server.fileno()), str(os.getpid())]
            process = subprocess.Popen(command, pass_fds=[server.fileno()], start_new_session=True)
        try:
            yield programs
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def serve(server: socket.socket, tests: int) -> None:
    import logging

    import fairseq  # noqa: F401
    import fairseq_cli.train  # noqa: F401
    import torch._dynamo  # noqa: F401  # Of every training
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from quicker import quicken

    quicken()
    # What nearly all options of nearly all commands say need not be parsed by each
    convert_namespace_to_omegaconf(
        options.parse_args_and_arch(options.get_training_parser(), ["data", "--arch", "transformer"])
    )
    sys.path.remove(str(Path(__file__).parent))

    # Each program says how it logs
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server.settimeout(2)
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
    """Runs a call in a fork of its own, tells its number, and sends its exit status."""
    size, streams, _, _ = socket.recv_fds(call, 8, 3)
    specification = json.loads(call.makefile().read(int.from_bytes(size, "little")))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        call.close()
        # What it starts ends with it
        os.setpgid(0, 0)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os._exit(run(*specification))
    with suppress(OSError):
        os.setpgid(child, child)
    for stream in streams:
        os.close(stream)
    with suppress(BrokenPipeError):
        call.sendall(f"{child}\n".encode())
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        # Nothing more comes from the program that was called but its end
        if select.select([call], [], [], 0.02)[0]:
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
            break
    with suppress(BrokenPipeError):
        call.sendall(f"{os.waitstatus_to_exitcode(ended[1])}\n".encode())
    os._exit(0)


def run(module: str, argv: list[str], folder: str, environment: dict[str, str], executable: str | None) -> int:
    """Runs a module as a process of its own would; what that would exit with."""
    # The server's own have the buffers of other files
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
    if executable:
        sys.path.insert(0, folder)
        sys.executable = executable
    sys.argv = argv
    # A job in the background of a script, such as these tests may be, ignores it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return status_of(module)


def status_of(module: str) -> int:
    """What a process of its own would exit with."""
    import multiprocessing
    import runpy
    import traceback

    status: object = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
    except BaseException as end:
        traceback.print_exc()
        status = 130 if isinstance(end, KeyboardInterrupt) else 1
    # As an interpreter does at its exit. Workers of a data loader notice by themselves only after seconds that they are
    # alone, and until then whoever reads the output waits for its end.
    for process in multiprocessing.active_children():
        if process.daemon:
            process.terminate()
    sys.stdout.flush()
    sys.stderr.flush()
    return status if isinstance(status, int) else int(status is not None)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
