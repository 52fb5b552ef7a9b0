"""What the page is answered: the same as the model says in Python, line by line."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import threading
from contextlib import ExitStack
from typing import Any

import pytest
from conftest import MadeUpData, TrainedModel
from forked_programs import Programs

from fairseq_guided_align.api import Model, load
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.demo.answers import MAX_BEAM, Answers, tag_parts
from fairseq_guided_align.demo.server import PageServer, Refusal
from fairseq_guided_align.markup.kinds import markup_of


@pytest.fixture(scope="module")
def model(trained: TrainedModel) -> Model:
    return load(str(trained.checkpoint), device="cpu", subwords="words")


@pytest.fixture(scope="module")
def tagged(made_up: MadeUpData) -> list[str]:
    lines = (made_up.text / "test.src").read_text(encoding="utf-8").splitlines()[:4]
    return [f"<b>{first}</b> {second}<br> {rest}" for first, second, rest in (line.split(" ", 2) for line in lines)]


def question(text: str, beam: int = 3, markup: str | None = "html") -> dict[str, Any]:
    return {"text": text, "beam": beam, "markup": markup}


def refusal(answers: Answers, asked: object) -> Refusal:
    with pytest.raises(Refusal) as refused:
        answers(asked)
    return refused.value


def test_each_line_is_what_the_model_says(model: Model, tagged: list[str]) -> None:
    lines: Any = Answers(model)(question("\r\n".join([tagged[0], "", "  ", *tagged[1:]])))["lines"]
    assert lines[1:3] == [None, None]
    best = [one[0] for one in model.translate(tagged, beam=3, markup="html")]
    for shown, wanted, source in zip([lines[0], *lines[3:]], best, tagged):
        assert "".join(text for text, _ in shown["parts"]) == wanted.text
        assert sorted(text for text, is_tag in shown["parts"] if is_tag) == ["</b>", "<b>", "<br>"]
        assert shown["score"] == pytest.approx(wanted.score, abs=1e-3)
        assert shown["guessed"] == wanted.guessed_tags
        view = shown["view"]
        assert view["source"] == source.replace("<b>", "").replace("</b>", "").replace("<br>", "").split()
        assert view["target"] == wanted.plain_text.split()
        hard = view["systems"][0]["hard"]
        assert list(zip(hard[::2], hard[1::2])) == wanted.links.pairs()
        soft = view["systems"][0]["soft"]
        for s, t, p in zip(soft[::3], soft[1::3], soft[2::3]):
            assert p == pytest.approx(wanted.attention[int(t), int(s)], abs=1e-3)
        assert len(soft) == 3 * (wanted.attention[:, :-1] >= 0.02).sum()


def test_beam_and_markup_are_the_question_s(model: Model, tagged: list[str]) -> None:
    answers = Answers(model)
    for beam in (1, MAX_BEAM):
        line: Any = answers(question(tagged[0], beam))["lines"]
        assert line[0]["score"] == pytest.approx(model.translate(tagged[:1], beam, markup="html")[0][0].score, abs=1e-3)
    plain: Any = answers(question("<b> w1", markup=None))["lines"]
    assert [is_tag for _, is_tag in plain[0]["parts"]] == [False]
    assert plain[0]["view"]["source"] == ["<b>", "w1"]


def test_tags_in_a_text_are_found_in_order() -> None:
    text = 'a &lt;b> <b>c<!-- <b> --></b><ph id="1">&lt;b></ph> &amp;'
    parts = tag_parts(text, markup_of("xliff"))
    assert "".join(str(part) for part, _ in parts) == text
    assert [part for part, is_tag in parts if is_tag] == ["<b>", "<!-- <b> -->", "</b>", '<ph id="1">&lt;b></ph>']


def test_broken_markup_names_its_place_before_anything_is_translated(model: Model, tagged: list[str]) -> None:
    answers = Answers(model, seconds=0)
    for markup in ("xml", "xliff"):
        broken = refusal(answers, question(f"{tagged[0].replace('<br>', '<br/>')}\n\na <b>c</i>", markup=markup))
        assert (broken.status, broken.details) == (422, {"line": 3, "column": 7})
        assert "tags must nest" in str(broken)


def test_a_text_that_takes_too_long_is_given_up(model: Model, tagged: list[str]) -> None:
    late = refusal(Answers(model, seconds=0), question("\n" + tagged[0]))
    assert (late.status, late.details) == (503, {"line": 2})


def test_questions_wait_for_each_other_but_not_for_ever(model: Model, tagged: list[str]) -> None:
    alone = [Answers(model)(question(line)) for line in tagged]
    together = Answers(model)
    found: dict[int, Any] = {}
    threads = [
        threading.Thread(target=lambda n=n, line=line: found.update({n: together(question(line))}))
        for n, line in enumerate(tagged)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[n] for n in range(len(tagged))] == alone
    hasty = Answers(model, seconds=0.2)
    with hasty._turn:
        assert refusal(hasty, question(tagged[0])).status == 503


def test_what_is_no_question(model: Model) -> None:
    answers = Answers(model)
    for asked in (None, [], "a", {}, {"text": 1, "beam": 1, "markup": None}, {"text": "a", "beam": 1, "markup": 3}):
        assert refusal(answers, asked).status == 400, asked
    for asked in (
        question("a", 0), question("a", MAX_BEAM + 1), {**question("a"), "beam": "5"}, {**question("a"), "beam": 1e9},
        question("\ud800"), question("a", markup="sgml"), question("w1 " * 2000),
    ):  # fmt: skip
        assert refusal(answers, asked).status == 422, asked
    assert refusal(answers, question("a\n" + "w1 " * 2000)).details == {"line": 2}


def test_the_command(
    trained: TrainedModel, programs: Programs, tagged: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """From the address that it prints to Ctrl-C."""
    options = [str(trained.checkpoint), "--subwords", "words", "--device", "cpu", "--markup", "html,placeholders"]
    command = [programs.python, "-m", "fairseq_guided_align.cli.main", "demo", *options, "--port", "0"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as process,
        ExitStack() as stack,
    ):
        stack.callback(process.kill)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("src to tgt: open http://127.0.0.1:")
        port = int(line.split("127.0.0.1:")[1].split("/")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/")
        page = connection.getresponse().read().decode()
        assert '"markup":"html,placeholders"' in page
        connection.request("POST", "/translate", json.dumps(question(tagged[0])), {"Content-Type": "application/json"})
        assert len(json.loads(connection.getresponse().read())["lines"]) == 1
        assert main(["demo", *options, "--port", str(port)]) == 2
        assert f"--port {port}: another program has it" in capsys.readouterr().err
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "fairseq-guided-align demo: interrupted"
    assert "Traceback" not in errors
    # It is free again at once.
    PageServer(port).server_close()


def test_wrong_options(trained: TrainedModel, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = str(trained.checkpoint)
    assert main(["demo", checkpoint, "--markup", "sgml", "--port", "0"]) == 2
    assert "kinds of markup" in capsys.readouterr().err
    assert main(["demo", "missing.pt", "--port", "0"]) == 2
    assert "missing.pt" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["demo", checkpoint, "--port", "65536"])
