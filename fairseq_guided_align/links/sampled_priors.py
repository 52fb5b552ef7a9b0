"""The priors that every chunk of a large text starts from: given ones, or those of a sample of the text."""

from __future__ import annotations

from dataclasses import replace

from fairseq_guided_align.files.byte_lines import count_line_feeds, read_blocks, read_blocks_together
from fairseq_guided_align.files.progress import say
from fairseq_guided_align.files.workers import map_in_order
from fairseq_guided_align.links.aligned_block import (
    FORWARD,
    PRIORS,
    REVERSE,
    AlignTask,
    ChunkWork,
    Sample,
    align_block,
    key_of,
    sampled,
)
from fairseq_guided_align.links.chunked_text import ChunkCounts

LINES_IN_BLOCK = 10_000


def with_priors(work: ChunkWork, jobs: int) -> ChunkWork:
    """With the priors that every chunk starts from: those given, or those of a sample; none for a single chunk."""
    text = work.text
    if text.priors is not None:
        whole = key_of(*(block for _, block in read_blocks(text.priors)))
        return replace(work, made_from=key_of(work.made_from, whole.encode()).encode())
    if text.chunks == 1:
        return work
    pairs = min(text.sample_pairs, text.pairs)
    say(f"learning priors from {pairs} of {text.pairs} sentence pairs; eflomal says nothing until it is done")
    task = _sample_task(work, pairs)
    if not work.file(task.name, PRIORS).exists():
        # In a process of its own where chunks have such: its memory is free again before they begin.
        list(map_in_order(_align_sample, [task], jobs))
    priors = work.file(task.name, PRIORS)
    return replace(work, priors=priors, made_from=task.name.encode(), sample=Sample(pairs, task.name))


def _sample_task(work: ChunkWork, pairs: int) -> AlignTask:
    text = work.text
    sides: tuple[list[bytes], list[bytes]] = [], []
    for first_line, blocks in read_blocks_together([text.source, text.target], LINES_IN_BLOCK):
        _, inside = sampled(text.pairs, pairs, first_line, count_line_feeds(blocks[0]))
        for side, block in zip(sides, blocks):
            lines = block.split(b"\n")
            side += [lines[number] + b"\n" for number in inside]
    joined = [b"".join(side) for side in sides]
    numbers = [number + 1 for number in sampled(text.pairs, pairs, 1, text.pairs)[1]]
    return AlignTask(work, f"sample.{key_of(work.made_from, *joined)}", numbers, joined)


def _align_sample(task: AlignTask) -> ChunkCounts:
    return align_block(task, (FORWARD, REVERSE, PRIORS))
