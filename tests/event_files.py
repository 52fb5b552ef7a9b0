"""What is in TensorBoard's event files, read without TensorBoard."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np


def events(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """Everything in the event files of a folder: name -> [(step, value)], images as (height, width, 3) pixels."""
    from PIL import Image
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, Any]]] = {}
    for path in sorted(folder.glob("*tfevents*")):
        content = path.read_bytes()
        position = 0
        while position < len(content):
            # length (8 bytes), its checksum (4), the record, its checksum (4)
            size = int.from_bytes(content[position : position + 8], "little")
            event = Event.FromString(content[position + 12 : position + 12 + size])
            position += 16 + size
            for value in event.summary.value:
                if value.HasField("image"):
                    image = np.asarray(Image.open(BytesIO(value.image.encoded_image_string)).convert("RGB"))
                    found.setdefault(value.tag, []).append((event.step, image))
                elif value.HasField("simple_value"):
                    found.setdefault(value.tag, []).append((event.step, value.simple_value))
                elif value.HasField("tensor") and value.tensor.float_val:
                    found.setdefault(value.tag, []).append((event.step, value.tensor.float_val[0]))
    return found


def close_writers() -> None:
    """fairseq keeps its event files open as long as the process lives, and the next training would go on in them."""
    from fairseq.logging import progress_bar

    for writer in progress_bar._tensorboard_writers.values():
        writer.close()
    progress_bar._tensorboard_writers.clear()
