"""The page to try a model, in a real headless Chromium against a real model; needs what chromium.py says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from chromium import CONTRASTS, chromium, css, nameless, point_at, press, texts, webdriver
from conftest import MadeUpData, TrainedModel
from selenium.webdriver.support.ui import Select, WebDriverWait
from served_pages import serving

from fairseq_guided_align.api import Model, load
from fairseq_guided_align.demo.answers import MAX_BEAM, Answers
from fairseq_guided_align.demo.server import MAX_BYTES, QUESTIONS, PageServer
from fairseq_guided_align.pictures.demo_page import demo_page

BROKEN = "a <b>😀 c</i> d"
"""Column 9 is that of ``</i>``: an emoji is one character, and two places of a text in JavaScript."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture(scope="module")
def model(trained: TrainedModel) -> Model:
    return load(str(trained.checkpoint), device="cpu", subwords="words")


@pytest.fixture(scope="module")
def tagged(made_up: MadeUpData) -> str:
    first, second, third, rest = (made_up.text / "test.src").read_text(encoding="utf-8").splitlines()[0].split(" ", 3)
    return f'{first} <a href="x">{second} {third}</a> {rest}'


class Counted:
    """Answers that remember their questions."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.questions: list[Any] = []

    def __call__(self, question: Any) -> object:
        self.questions.append(question)
        return self.answers(question)


@pytest.fixture(scope="module")
def answers(model: Model) -> Counted:
    return Counted(Answers(model))


@pytest.fixture(scope="module")
def server(answers: Counted) -> Iterator[PageServer]:
    page, policy = demo_page({
        "model": "a </script> model", "source": "src", "target": "tgt", "questions": QUESTIONS,
        "kinds": ["xml", "html", "xliff"], "sets": ["printf", "python"], "markup": "html", "max_beam": MAX_BEAM,
        "max_bytes": MAX_BYTES,
    })  # fmt: skip
    with serving(page, policy, answers) as running:
        yield running


@pytest.fixture
def page(browser: Any, server: PageServer) -> Iterator[Any]:
    """The page, freshly opened; whatever a test does must leave the console silent."""
    browser.get("about:blank")
    browser.get(server.address)
    yield browser
    assert [entry for entry in browser.get_log("browser") if "422 (Unprocessable" not in entry["message"]] == []


def done(page: Any) -> str:
    """The page's message once it has its answer."""
    WebDriverWait(page, 20, 0.02).until(lambda _: texts(page, "#message") != ["Translating …"])
    return texts(page, "#message")[0]


def write(page: Any, text: str) -> None:
    page.execute_script("document.getElementById('text').value = arguments[0]", text)


def translated(page: Any, text: str) -> str:
    """The translation that the page shows."""
    write(page, text)
    css(page, "#translate")[0].click()
    done(page)
    return texts(page, "#translation")[0]


def test_a_translation_with_its_tags(page: Any, model: Model, tagged: str) -> None:
    assert page.title == "src to tgt"
    assert texts(page, "#summary") == ["a </script> model"]
    assert page.switch_to.active_element.get_attribute("id") == "text"
    assert not css(page, "#copy")[0].is_enabled()
    best = model.translate([tagged], markup="html")[0][0]
    assert translated(page, tagged) == best.text
    assert texts(page, "#translation .tag") == ['<a href="x">', "</a>"]
    assert texts(page, ".source .token") == tagged.replace('<a href="x">', "").replace("</a>", "").split()
    assert texts(page, ".target .token") == best.plain_text.split()
    assert texts(page, ".card h3") == [f"Words\nscore {best.score:.3f}"]


def test_pointing_at_a_word_lights_its_partners_up(page: Any, model: Model, tagged: str) -> None:
    translated(page, f"{tagged}\n\n{tagged}")
    best = model.translate([tagged], markup="html")[0][0]
    links = best.links.pairs()
    source, target = links[1]
    words = texts(page, ".card:first-child .source .token"), best.plain_text.split()
    for side, other, index, found in (
        ("source", "target", source, {t for s, t in links if s == source}),
        ("target", "source", target, {s for s, t in links if t == target}),
    ):
        point_at(page, f'.{side} .token[data-index="{index}"]')
        assert texts(page, ".token.traced") == [words[side == "target"][index]]
        lit = {int(token.get_attribute("data-index")) for token in css(page, f".{other} .token.linked")}
        column = best.attention[:, index] if side == "source" else best.attention[index, :-1]
        assert lit == found | {place for place, p in enumerate(column) if p >= 0.02}
        shown = texts(page, "#trace")[0].splitlines()
        assert shown[0] == f"{words[side == 'target'][index]} ({side} {index})"
        assert shown[1].count("hard") == len(found)
    # The other line is not touched.
    assert [len(css(page, f".card:nth-child({number}).tracing")) for number in (1, 2)] == [1, 0]
    assert texts(page, ".card h3")[1].startswith("Line 3\n")
    point_at(page, ".card:nth-child(2) .source .token")
    assert [len(css(page, f".card:nth-child({number}) .token.traced")) for number in (1, 2)] == [0, 1]
    point_at(page, "h1")
    assert css(page, ".traced, .linked") == []


def test_the_keyboard_is_enough(page: Any, model: Model, tagged: str) -> None:
    keys = webdriver.Keys
    write(page, tagged)
    webdriver.ActionChains(page).key_down(keys.CONTROL).send_keys(keys.ENTER).key_up(keys.CONTROL).perform()
    done(page)
    best = model.translate([tagged], markup="html")[0][0]
    links = best.links.pairs()
    for wanted in ("translation", "copy"):
        page.execute_script("document.getElementById('text').focus()")
        for _ in range(5):
            press(page, keys.TAB)
            if page.switch_to.active_element.get_attribute("id") == wanted:
                break
        else:
            raise AssertionError(f"Tab does not lead to {wanted}")
    page.execute_script("document.getElementById('translate').focus()")
    press(page, keys.TAB)  # The first source token
    source = next(s for s, _ in links if s)
    press(page, *[keys.ARROW_DOWN] * source)
    assert [token.get_attribute("data-index") for token in css(page, ".source .token.traced")] == [str(source)]
    press(page, keys.ARROW_RIGHT)
    traced = css(page, ".target .token.traced")
    assert [int(token.get_attribute("data-index")) for token in traced] == [
        max((t for s, t in links if s == source), key=lambda t: best.attention[t, source])
    ]
    press(page, keys.ENTER)
    point_at(page, "h1")
    assert len(css(page, ".traced")) == 1
    press(page, keys.ESCAPE)
    assert css(page, ".traced") == []


def test_broken_markup_shows_its_place(page: Any, tagged: str) -> None:
    translated(page, tagged)
    translated(page, f"{tagged}\n{BROKEN}")
    # A browser would repair it as well.
    assert css(page, "#message.error") == []
    Select(css(page, "#kind")[0]).select_by_value("xml")
    message = done(page)
    assert message.startswith("line 2, column 9: </i> stands where <b> is to be closed")
    assert len(css(page, "#message.error")) == 1
    place = len(tagged) + 1 + BROKEN.index("</i>") + 1  # In JavaScript's places
    assert page.execute_script("return document.getElementById('text').selectionStart") == place
    assert css(page, "#text")[0].get_attribute("aria-invalid") == "true"
    # What was translated before is still there to read, and not taken for this text's.
    assert len(css(page, "#translation.old")) == 1
    translated(page, tagged)
    assert css(page, "#message.error, #translation.old") == []
    assert css(page, "#text")[0].get_attribute("aria-invalid") == "false"


def test_beam_and_markup_are_asked_for(page: Any, answers: Counted, model: Model, tagged: str) -> None:
    translated(page, tagged)
    beam = css(page, "#beam")[0]
    beam.clear()
    beam.send_keys("1", webdriver.Keys.TAB)  # Asks again at once
    done(page)
    assert answers.questions[-1] == {"text": tagged, "beam": 1, "markup": "html"}
    score = model.translate([tagged], beam=1, markup="html")[0][0].score
    assert texts(page, ".card h3") == [f"Words\nscore {score:.3f}"]
    Select(css(page, "#placeholders")[0]).select_by_visible_text("printf")
    done(page)
    assert answers.questions[-1]["markup"] == "html,placeholders=printf"
    Select(css(page, "#kind")[0]).select_by_visible_text("none")
    done(page)
    assert answers.questions[-1]["markup"] == "placeholders=printf"
    Select(css(page, "#placeholders")[0]).select_by_visible_text("none")
    done(page)
    assert answers.questions[-1]["markup"] is None
    assert css(page, ".tag") == []
    beam.clear()
    beam.send_keys(str(MAX_BEAM + 1), webdriver.Keys.TAB)
    css(page, "#translate")[0].click()
    # The browser itself says what is wrong.
    assert page.execute_script("return document.getElementById('beam').validity.rangeOverflow")
    assert answers.questions[-1]["beam"] == 1


def test_the_result_is_copied(page: Any, server: PageServer, tagged: str) -> None:
    origin = server.address.rstrip("/")
    permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    page.execute_cdp_cmd("Browser.grantPermissions", {"origin": origin, "permissions": permissions})
    shown = translated(page, f"{tagged}\n\n{tagged}")
    css(page, "#copy")[0].click()
    WebDriverWait(page, 20, 0.02).until(lambda _: texts(page, "#message") == ["Copied."])
    copied = page.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied == "\n".join([shown.splitlines()[0], "", shown.splitlines()[-1]])


def test_texts_that_are_too_large_and_empty(page: Any, answers: Counted) -> None:
    before = len(answers.questions)
    translated(page, "w1 " * MAX_BYTES)
    assert f"at most {MAX_BYTES}" in texts(page, "#message.error")[0]
    assert len(answers.questions) == before
    assert translated(page, " \n ") == ""
    assert texts(page, "#message") == ["There is no text."]
    assert not css(page, "#links")[0].is_displayed()


def test_text_is_never_markup_of_the_page(page: Any, model: Model) -> None:
    odd = "<script>alert(1)</script> w1 <img src=x onerror=alert(2)> &lt;b&gt;"
    assert translated(page, odd) == model.translate([odd], markup="html")[0][0].text
    assert css(page, "#translation img, #translation script, #cards img") == []


def test_other_pages_get_nothing(browser: Any, server: PageServer, answers: Counted) -> None:
    """A page of another origin, with all that browsers let it try: questions of each type, reading, and a frame."""
    policy = "default-src 'none'; frame-src *; connect-src *; script-src 'unsafe-inline'"
    before = len(answers.questions)
    with serving("<!doctype html><title>Other</title>", policy, None) as other:
        browser.get(other.address)
        told = browser.execute_async_script(
            """const done = arguments[1], address = arguments[0];
            const tried = async (path, options) => {
              try { return (await fetch(address + path, options)).type; } catch (error) { return "refused"; }
            };
            const body = JSON.stringify({text: "w1", beam: 1, markup: null});
            (async () => done([
              await tried("translate", {method: "POST", body, mode: "no-cors"}),
              await tried("translate", {method: "POST", body, headers: {"Content-Type": "application/json"}}),
              await tried("", {}),
            ]))();""",
            server.address,
        )
        assert told == ["refused", "refused", "refused"]
        browser.execute_async_script(
            """const frame = document.createElement("iframe");
            frame.onload = () => arguments[1]();
            frame.src = arguments[0];
            document.body.append(frame);""",
            server.address,
        )
        browser.switch_to.frame(css(browser, "iframe")[0])
        assert css(browser, "#translate") == []
        browser.switch_to.default_content()
        browser.get("about:blank")
    assert len(answers.questions) == before
    browser.get_log("browser")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(page: Any, tagged: str, theme: str) -> None:
    """WCAG 2.1, level AA: 4.5 for text, 3 for lines that carry meaning; of all that is shown, also while tracing."""
    while css(page, "#theme")[0].text != f"Theme: {theme}":
        css(page, "#theme")[0].click()
    translated(page, tagged)
    at_rest = page.execute_script(CONTRASTS)
    point_at(page, '.source .token[data-index="1"]')
    tracing = page.execute_script(CONTRASTS)
    Select(css(page, "#kind")[0]).select_by_value("xml")
    translated(page, BROKEN)
    complaining = page.execute_script(CONTRASTS)
    assert len(at_rest["text"]) > 20
    assert at_rest["lines"]
    assert [bad for bad in at_rest["text"] + tracing["text"] + complaining["text"] if bad[0] < 4.5] == []
    assert [bad for bad in at_rest["lines"] if bad[0] < 3] == []


def test_narrow_screens_and_names(page: Any, tagged: str) -> None:
    assert nameless(page) == []
    translated(page, f"{tagged} {'x' * 200}")
    try:
        for width in (1300, 420):
            page.set_window_size(width, 900)
            assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth"), width
    finally:
        page.set_window_size(1300, 900)
    assert nameless(page) == []
