"""Word links by eflomal, in both directions and symmetrised.

eflomal (Östling and Tiedemann 2016) is an optional package, under the GPL. It holds 4 bytes a word in memory. Nothing
else here is held in memory.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_text
from fairseq_guided_align.files.byte_lines import PathLike, count_line_feeds, read_blocks, read_blocks_together
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import parse_block
from fairseq_guided_align.links.symmetrisation import symmetrise_corpus

LONGEST_SENTENCE = 1023
"""Words of the longest sentence that eflomal aligns; longer ones get no links."""

NOTHING_TO_ALIGN = "expected sentence pairs to align; both texts are empty"


@dataclass(frozen=True)
class AlignerSettings:
    """eflomal's own defaults.

    :param method: how the two directions become one; one of ``links.symmetrisation.SYMMETRISATIONS``.
    :param model: 1: IBM 1, 2: HMM, 3: HMM with fertility.
    :param samplers: independent samplers, each a thread.
    :param relative_iterations: sampling iterations relative to the number that eflomal chooses.
    :param null_prior: prior probability of no link.
    """

    method: str = "grow-diag-final-and"
    model: int = 3
    samplers: int = 3
    relative_iterations: float = 1.0
    null_prior: float = 0.2


@dataclass
class AlignerInput:
    """Counts of the text that the aligner was given.

    :param sentences: lines of one side.
    :param too_long: numbers, from 1, of the lines with more than :data:`LONGEST_SENTENCE` words.
    :param size: bytes of UTF-8.
    """

    sentences: int = 0
    too_long: set[int] = field(default_factory=set)
    size: int = 0


def align_with_eflomal(
    source: Iterable[str],
    target: Iterable[str],
    settings: AlignerSettings,
    seen: AlignerInput | None = None,
    forward_copy: PathLike | None = None,
    reverse_copy: PathLike | None = None,
    priors: Iterable[str] | None = None,
) -> Iterator[CorpusLinks]:
    """Links of consecutive sentence pairs, some thousand at a time.

    :param source: lines of words separated by ASCII whitespace.
    :param target: as many lines.
    :param seen: gets the counts of both sides.
    :param forward_copy: file for eflomal's links of the forward direction, not symmetrised.
    :param reverse_copy: file for those of the reverse direction.
    :param priors: lines of eflomal's priors, see ``links.priors``.
    :raises AlignmentLengthError: one text has more lines than the other.
    :raises GuidedAlignError: eflomal is not installed, or it failed, or there is nothing to align.
    """
    with tempfile.TemporaryDirectory(prefix="align-") as folder:
        forward, reverse = Path(folder) / "forward", Path(folder) / "reverse"
        align_both_directions(source, target, settings, forward, reverse, seen, priors)
        for path, copy in ((forward, forward_copy), (reverse, reverse_copy)):
            if copy is not None:
                with open(path, "rb") as links, atomic_text(copy) as stream:
                    shutil.copyfileobj(links, stream)
        for first_line, (one, other) in read_blocks_together([forward, reverse], 10_000):
            yield symmetrise_corpus(
                parse_block(one, forward, first_line), parse_block(other, reverse, first_line), settings.method
            )


def align_both_directions(
    source: Iterable[str],
    target: Iterable[str],
    settings: AlignerSettings,
    forward: Path,
    reverse: Path,
    seen: AlignerInput | None = None,
    priors: Iterable[str] | None = None,
) -> None:
    """Write eflomal's links of both directions, not symmetrised. Arguments and errors as :func:`align_with_eflomal`.

    :param forward: gets the links of the forward direction.
    :param reverse: gets those of the reverse direction, as source-target too.
    """
    seen = AlignerInput() if seen is None else seen
    sides = _run_eflomal(source, target, settings, forward, reverse, priors)
    seen.sentences, seen.size = sides[0].sentences, sides[0].size + sides[1].size
    seen.too_long = sides[0].too_long | sides[1].too_long
    for path in (forward, reverse):
        _check_complete(path, seen.sentences, seen.size)


def _run_eflomal(
    source: Iterable[str],
    target: Iterable[str],
    settings: AlignerSettings,
    forward: Path,
    reverse: Path,
    priors: Iterable[str] | None,
) -> tuple[AlignerInput, AlignerInput]:
    """Write eflomal's links of both directions. Errors as :func:`align_with_eflomal`.

    :return: counts of source and target.
    """
    aligner = eflomal_package().Aligner(
        model=settings.model,
        n_samplers=settings.samplers,
        rel_iterations=settings.relative_iterations,
        null_prior=settings.null_prior,
    )
    one, other = AlignerInput(), AlignerInput()
    try:
        aligner.align(
            _lines_for_eflomal(source, one),
            _lines_for_eflomal(target, other),
            links_filename_fwd=str(forward),
            links_filename_rev=str(reverse),
            priors_input=priors,
        )
    except subprocess.CalledProcessError as error:
        raise GuidedAlignError(
            f"eflomal failed with exit code {error.returncode}, probably for want of memory or of disk space:"
            f" {_room_for(one.size + other.size)}"
        ) from error
    except ZeroDivisionError as error:
        if one.sentences:
            raise
        raise GuidedAlignError(NOTHING_TO_ALIGN) from error
    except ValueError as error:
        if one.sentences == other.sentences:
            raise
        raise AlignmentLengthError(
            f"expected as many lines of source as of target; got {one.sentences} and {other.sentences}"
        ) from error
    return one, other


def _check_complete(path: Path, sentences: int, size: int) -> None:
    """Refuse links that were cut short: eflomal does not notice a full disk.

    :raises GuidedAlignError: the file is not as many whole lines as there are sentence pairs.
    """
    lines, end = 0, b"\n"
    for first_line, block in read_blocks(path):
        lines, end = first_line - 1 + count_line_feeds(block), block[-1:]
    if lines != sentences or end != b"\n":
        raise GuidedAlignError(
            f"{path}: eflomal wrote whole lines of {lines} of {sentences} sentence pairs; is the disk full?"
            f" {_room_for(size)}"
        )


def _room_for(size: int) -> str:
    """What messages say of the room on the disk: needed for a text of this many bytes, and free."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    return (
        f"its copy of the text and its links may take {3 * size / 1e6:.1f} MB in {folder}, which has {free / 1e6:.1f}"
        " MB free; TMPDIR names another folder"
    )


def _lines_for_eflomal(lines: Iterable[str], seen: AlignerInput) -> Iterator[str]:
    """Lines for eflomal, which are counted."""
    for line in lines:
        encoded = line.encode()
        words = encoded.split()
        seen.sentences += 1
        if len(words) > LONGEST_SENTENCE:
            seen.too_long.add(seen.sentences)
        seen.size += len(encoded)
        yield spaced(word.decode() for word in words) + "\n"


def spaced(words: Iterable[str]) -> str:
    """A line in which eflomal counts these words: it splits at any white space, also at such as is part of a word."""
    return " ".join("_".join(word.split()) or "_" for word in words)


def eflomal_package() -> Any:
    """:raises GuidedAlignError: eflomal is not installed."""
    try:
        import eflomal
    except ImportError as error:
        raise GuidedAlignError(
            "eflomal is not installed: pip install 'fairseq-guided-align[aligner]' (it is compiled, which takes a C"
            " compiler; it is under the GPL)"
        ) from error
    return eflomal
