"""Words of text without spaces: Japanese, Chinese, Thai, and German with punctuation, out of Django's translations."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from fairseq_runs import forked_preprocess

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.pharaoh import read_links
from fairseq_guided_align.links.store import LinkStore, links_path
from fairseq_guided_align.links.words import count_words, separated, split_words
from fairseq_guided_align.subwords.settings import word_split_of
from fairseq_guided_align.subwords.text_pieces import text_cutters

TEXT = Path(__file__).resolve().parents[1] / "data" / "words"
LANGUAGES = ("ja", "zh", "th", "de")
SPLITS = ("icu", "characters", "regex=[A-Za-z]+|[0-9]")


def pairs(language: str) -> list[tuple[str, str]]:
    rows = (TEXT / f"{language}.tsv").read_text(encoding="utf-8").splitlines()
    return [(source, target) for source, target in (row.split("\t") for row in rows)]


@pytest.fixture(params=SPLITS)
def word_split(request: pytest.FixtureRequest) -> str:
    if request.param == "icu":
        pytest.importorskip("icu")
    return str(request.param)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_character_is_lost_and_none_is_white_space(language: str, word_split: str) -> None:
    lines = [line for pair in pairs(language) for line in pair]
    lines += ["", "  ", "a\u00a0b\u3000c", "\U0001f600\U0001f600 x\U00020000y", "\u200bก\u200bข", "é e\u0301"]
    for line in lines:
        words = split_words(line, word_split)
        assert "".join(words) == "".join(line.split())
        assert all(word and not re.search(r"\s", word) for word in words)
    block = "".join(line + "\n" for line in lines).encode()
    assert separated(block, word_split).count(b"\n") == len(lines)
    assert count_words(block, word_split).tolist() == [len(split_words(line, word_split)) for line in lines]


def slow_icu_words(line: str) -> list[str]:
    """Asks ICU of every place in the line whether words meet there."""
    import icu

    breaks = icu.BreakIterator.createWordInstance(icu.Locale("en"))
    text = icu.UnicodeString(line)
    breaks.setText(text)
    words = [""]
    place = 0
    for character in line:
        if breaks.isBoundary(place):
            words.append("")
        words[-1] += character
        place += len(character.encode("utf-16-le")) // 2
    return [word for word in words if word.strip()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_icu_is_asked_of_every_place(language: str) -> None:
    pytest.importorskip("icu")
    for pair in pairs(language):
        for line in pair:
            assert split_words(line, "icu") == slow_icu_words(line)


def test_words_that_a_reader_would_find() -> None:
    pytest.importorskip("icu")
    for line, words in (
        ("我喜欢学习汉语，因为它很有趣。", "我 喜欢 学习 汉语 ， 因为 它 很 有趣 。"),
        ("東京都に住んでいます。", "東京 都 に 住 んで い ます 。"),
        ("ฉันรักภาษาไทยมาก", "ฉัน รัก ภาษา ไทย มาก"),
        ("Ein „Haus“, 3,5 m hoch (z.B. für's Tier)!", "Ein „ Haus “ , 3,5 m hoch ( z.B . für's Tier ) !"),
        ("\U0001f600日本\U00020000語 ok", "\U0001f600 日本 \U00020000 語 ok"),
        ("ก\u200bข", "ก\u200b ข"),
    ):
        assert " ".join(split_words(line, "icu")) == words


def test_characters_and_patterns() -> None:
    assert split_words("ที่ e\u0301é ab", "characters") == ["ที่", "e\u0301", "é", "a", "b"]
    assert split_words("don't (3,5) x_y", "regex=\\w+") == ["don", "'", "t", "(", "3", ",", "5", ")", "x_y"]
    assert split_words("a,b c", "regex=,| c") == ["a", ",", "b", "c"]
    for wrong, message in (
        ("regex=(", "expected a regular expression; got '\\('"), ("regex=a*", "that no empty text fits; got 'a\\*'"),
        ("ICU", "expected a definition of words out of spaces, whitespace, icu, characters, regex=PATTERN; got 'ICU'"),
    ):  # fmt: skip
        with pytest.raises(GuidedAlignError, match=message):
            split_words("a", wrong)
        with pytest.raises(SystemExit):
            main(["check", "x", "-s", "a", "-t", "b", "--word-split", wrong])


def test_without_icu(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from fairseq_guided_align.links import icu_words

    icu_words._iterator.cache_clear()
    monkeypatch.setitem(sys.modules, "icu", None)
    with pytest.raises(GuidedAlignError, match=r"pip install 'fairseq-guided-align\[icu\]'"):
        split_words("a", "icu")


# --- from links of words to a data folder, and back ------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All languages as one target, with links by chance between words between spaces and words of ICU."""
    pytest.importorskip("icu")
    folder = tmp_path_factory.mktemp("words")
    chance = random.Random(6)
    rows = [pair for language in LANGUAGES for pair in pairs(language)]
    links = []
    for source, target in rows:
        sizes = len(source.split()), len(slow_icu_words(target))
        chosen = {(chance.randrange(sizes[0]), chance.randrange(sizes[1])) for _ in range(sum(sizes) // 2)}
        # Links to the last words tell the definition.
        links.append(" ".join(f"{s}-{t}" for s, t in sorted({*chosen, (sizes[0] - 1, sizes[1] - 1)})))
    for suffix, lines in (("en", [row[0] for row in rows]), ("xx", [row[1] for row in rows]), ("align", links)):
        (folder / f"train.{suffix}").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def data(corpus: Path) -> Path:
    pytest.importorskip("sentencepiece")
    with forked_preprocess():
        assert main([
            "preprocess", "-s", "en", "-t", "xx", f"--trainpref={corpus / 'train'}", "--target-word-split=icu",
            f"--destdir={corpus / 'bin'}", "--sentencepiece-vocab-size=700", "--sentencepiece-model-type=bpe",
            "--on-mismatch=drop-links",
        ]) == 0  # fmt: skip
    return corpus / "bin"


def slow_links(model: Path, line: str, words: list[str]) -> list[set[int]]:
    """The pieces of each word: those that cover one of its characters, by the places that SentencePiece gives.

    A piece without characters, a lone mark of a space, goes with the first character behind it.
    """
    import sentencepiece

    places = sentencepiece.SentencePieceProcessor(model_file=str(model)).encode(line, out_type="offset_mapping")
    covered = [{at for at in range(begin, end) if line[at].strip()} for begin, end in places["offsets"]]
    for piece, (begin, _) in enumerate(places["offsets"]):
        if not covered[piece]:
            covered[piece] = {next(at for at in range(begin, len(line)) if line[at].strip())}
    found = []
    place = 0
    for word in words:
        place = line.index(word, place)
        own = set(range(place, place + len(word)))
        found.append({piece for piece, places_of_piece in enumerate(covered) if own & places_of_piece})
        place += len(word)
    return found


def test_links_of_pieces_are_those_of_a_slow_method(corpus: Path, data: Path) -> None:
    stored = LinkStore(links_path(data, "train", "en", "xx"))
    given = read_links(corpus / "train.align")
    sides = [(corpus / f"train.{lang}").read_text(encoding="utf-8").splitlines() for lang in ("en", "xx")]
    settings = json.loads((data / "guided_alignment.json").read_text())
    assert settings["splits"]["train"]["left_out"] == 0
    models = [data / settings[f"{side}_sentencepiece_model"] for side in ("source", "target")]
    for number, (source, target) in enumerate(zip(*sides)):
        of_source = slow_links(models[0], source, source.split())
        of_target = slow_links(models[1], target, slow_icu_words(target))
        expected = {(s, t) for a, b in given[number].pairs() for s in of_source[a] for t in of_target[b]}
        assert set(stored[number].pairs()) == expected, target


def test_the_folder_remembers(corpus: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = json.loads((data / "guided_alignment.json").read_text())
    assert (settings["source_word_split"], settings["target_word_split"]) == ("spaces", "icu")
    assert [word_split_of(str(data), lang) for lang in ("en", "xx")] == ["spaces", "icu"]
    before = links_path(data, "train", "en", "xx").read_bytes()
    binarize = ["binarize", str(data), f"train={corpus / 'train.align'}", "--level=words"]
    assert main(binarize) == 0
    assert links_path(data, "train", "en", "xx").read_bytes() == before
    assert main([*binarize, "--target-word-split=spaces"]) == 2
    assert "links point outside their sentences" in capsys.readouterr().err
    assert main(binarize) == 0
    lines = (corpus / "train.xx").read_text(encoding="utf-8").splitlines()
    for langs, side in ((("en", "xx"), 1), (("xx", "en"), 0)):  # A model may read the folder in the other direction.
        for line, sentence in zip(lines, text_cutters(str(data), langs)[side](lines)):
            assert sentence.words == len(slow_icu_words(line))


def test_every_command_counts_these_words(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = ["check", str(corpus / "train"), "-s", "en", "-t", "xx"]
    assert main([*check, "--target-word-split=icu"]) == 0
    assert main(check) == 1
    capsys.readouterr()
    text = [f"--source={corpus / 'train.en'}", f"--target={corpus / 'train.xx'}"]
    aer = ["aer", str(corpus / "train.align"), str(corpus / "train.align"), *text]
    assert main([*aer, "--target-word-split=icu"]) == 0
    assert "point outside" not in capsys.readouterr().err
    assert main(aer) == 0
    assert "links point outside their sentence pairs in the text" in capsys.readouterr().err
    (tmp_path / "s").write_text("Click <b>here</b> now.\n")
    (tmp_path / "t").write_text("今すぐここをクリック。\n", encoding="utf-8")
    words = slow_icu_words("今すぐここをクリック。")
    (tmp_path / "l").write_text(f"0-{words.index('クリック')} 1-{words.index('ここ')} 2-0\n")
    files = [f"--source={tmp_path / 's'}", f"--target={tmp_path / 't'}", f"--links={tmp_path / 'l'}"]
    assert main(["tags", *files, f"--output={tmp_path / 'out'}", "--target-word-split=icu"]) == 0
    assert (tmp_path / "out").read_text(encoding="utf-8") == "今すぐ<b>ここ</b>をクリック。\n"


def test_align(corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("eflomal")
    text = [f"--source={corpus / 'train.xx'}", f"--target={corpus / 'train.en'}", "--source-word-split=icu"]
    lines = (corpus / "train.xx").read_text(encoding="utf-8").splitlines()
    sizes = [(len(line.split()), len(slow_icu_words(line))) for line in lines]
    for chunks in ([], ["--chunk-pairs=100"]):
        quick = [f"--output={tmp_path / 'out'}", "--length=0.02", "--samplers=1", "--symmetrisation=union"]
        assert main(["align", *text, *quick, *chunks]) == 0
        last = [int(links.source.max()) + 1 for links in read_links(tmp_path / "out")]
        assert all(reached <= words for reached, (_, words) in zip(last, sizes))
        assert sum(reached > between_spaces for reached, (between_spaces, _) in zip(last, sizes)) > 0.5 * len(sizes)
