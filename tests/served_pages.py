"""A page that is served while a test looks at it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from fairseq_guided_align.demo.server import PageServer


@contextmanager
def serving(page: str, policy: str, answer: Any) -> Iterator[PageServer]:
    """The server of a page, on a free port.

    :param answer: gives the answer to a question.
    """
    with PageServer(0) as server:
        # How often it looks whether it shall end, in seconds
        server.serve_forever = partial(server.serve_forever, 0.01)
        thread = threading.Thread(target=server.serve, args=(page, policy, answer))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
