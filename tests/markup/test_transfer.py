"""Sentences whose right result follows from the rules."""

from __future__ import annotations

import re

import pytest

from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError, MarkupError
from fairseq_guided_align.markup import transfer

Links = list[tuple[int, int, float]]


def links(text: str) -> Links:
    found = []
    for token in text.split():
        pair, _, weight = token.partition(":")
        source, _, target = pair.partition("-")
        found.append((int(source), int(target), float(weight or 1)))
    return found


SENTENCES = [
    # Punctuation beside a tag is inside or outside as in the source.
    ("<b>Note</b>: read", "Hinweis: lesen", "0-0 1-1", "<b>Hinweis</b>: lesen"),
    ("<b>Note:</b> read", "Hinweis: lesen", "0-0 1-1", "<b>Hinweis:</b> lesen"),
    ("<b>Note:</b> read", "Remarque : lire", "0-0 1-2", "<b>Remarque :</b> lire"),
    ("see (<i>the page</i>).", "siehe (die Seite).", "0-0 1-1 2-2", "siehe (<i>die Seite</i>)."),
    ("<i>see (the page)</i>.", "siehe (die Seite).", "0-0 1-1 2-2", "<i>siehe (die Seite)</i>."),
    # What is opened inside is closed inside.
    ("<i>see page</i> now", "siehe (die Seite) jetzt", "0-0 1-2 2-3", "<i>siehe (die Seite)</i> jetzt"),
    # A span moves, and keeps its words together; a word without links inside it belongs to it.
    ("Click <a>here</a> now.", "Jetzt hier klicken.", "0-2 1-1 2-0", "Jetzt <a>hier</a> klicken."),
    ("a <b>big red</b> dog", "un gros et rouge chien", "0-0 1-1 2-3 3-4", "un <b>gros et rouge</b> chien"),
    # Nested stays nested, side by side stays side by side.
    ("<p>one <b>two <i>three</i></b> four</p>", "vier zwei drei eins", "0-3 1-1 2-2 3-0",
     "<p>vier <b>zwei <i>drei</i></b> eins</p>"),
    ("<b>a</b> <i>b</i> c", "y x z", "0-1 1-0 2-2", "<i>y</i> <b>x</b> z"),
    ("<b>a b</b> <i>c</i>", "x z y", "0-0 1-2 2-1", "<b>x</b> <i>z</i> y"),
    # A tag around the whole segment stays around it, whatever the links say.
    ("<p>Say <b>no</b>.</p>", "Sag lieber nein.", "0-0 1-2", "<p>Sag lieber <b>nein</b>.</p>"),
    ("<p>Yes.</p>", "Ja doch!", "", "<p>Ja doch!</p>"),
    # White space as in the source.
    ("Line one<br/>line two", "Zeile eins Zeile zwei", "0-0 1-1 2-2 3-3", "Zeile eins<br/>Zeile zwei"),
    ("one <br/> two", "eins zwei", "0-0 1-1", "eins <br/> zwei"),
    ("one<br/> two", "eins zwei", "0-0 1-1", "eins<br/> zwei"),
    ("<li>one</li><li>two</li>", "eins zwei", "0-0 1-1", "<li>eins</li><li>zwei</li>"),
    ("<p>One. </p> <p> Two.</p>", "Eins. Zwei.", "0-0 1-1", "<p>Eins. </p> <p> Zwei.</p>"),
    ("one <i>two </i><x/> three", "eins zwei drei", "0-0 1-1 2-2", "eins <i>zwei </i><x/> drei"),
    ("a<b> c </b>d", "x y z", "0-0 1-1 2-2", "x<b> y </b>z"),
    # Isolated tags go where the fewest links cross, then before the word that followed.
    ("a <x/>b c", "y z x", "0-2 1-0 2-1", "<x/>y z x"),
    ("a b <x/>c d", "w z x y", "0-0 1-2 2-3 3-1", "w z x <x/>y"),
    ("a <x/>b", "x w y", "0-0 1-2", "x w <x/>y"),
    # Empty pairs keep their place and their order.
    ("a <b></b><i></i>b", "x y", "0-0 1-1", "x <b></b><i></i>y"),
    ("a <b> </b> b", "x y", "0-0 1-1", "x <b> </b> y"),
    # Tags inside a word go to its edges.
    ("un<b>believ</b>able luck", "Glück unglaubliches", "0-1 1-0", "Glück <b>unglaubliches</b>"),
    # In text, what is special in markup is escaped; comments and instructions are tags.
    ("a &lt; <b>b</b> &amp; c", "x < y & z", "0-0 1-1 2-2 3-3 4-4", "x &lt; <b>y</b> &amp; z"),
    ("a <!-- > --><?p <?>b", "x y", "0-0 1-1", "x <!-- > --><?p <?>y"),
    # A word that is written alike needs no link.
    ("install <b>NumPy</b> now", "jetzt NumPy installieren", "0-2 1-2 2-0", "jetzt <b>NumPy</b> installieren"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "target", "given", "expected"), SENTENCES)
def test_sentences(source: str, target: str, given: str, expected: str) -> None:
    assert transfer(source, target, links(given)).text == expected


def test_a_moved_isolated_tag_with_white_space_on_both_sides_is_not_glued() -> None:
    assert transfer("Press <kbd/> now.", "Jetzt drücken.", [(0, 1), (1, 0, 0.5)]).text == "Jetzt drücken <kbd/>."


@pytest.mark.parametrize(("quotes", "expected"), [("inside", "<b>«имя»</b> есть"), ("outside", "«<b>имя</b>» есть")])
def test_quotation_marks_that_only_the_translation_has(quotes: str, expected: str) -> None:
    assert transfer("<b>name</b> is", "«имя» есть", [(0, 0), (1, 1)], quotes=quotes).text == expected


QUOTED = [
    # Words that the translator has quoted together are between the tags, whatever the links say of some of them.
    ("press <b>save as</b> now", "жми «сохранить как» скорее", "0-0 1-1 3-3", "жми <b>«сохранить как»</b> скорее"),
    ("press <b>save as</b> now", "жми «сохранить как» скорее", "0-0 0-2 1-1 3-3", "жми <b>«сохранить как»</b> скорее"),
    ("press <b>save as</b> now", "jetzt „als Kopie speichern“ drücken", "0-4 1-3 3-0",
     "jetzt <b>„als Kopie speichern“</b> drücken"),
    ("by <b>you and me</b> here", "de 'ti y mí' aquí", "0-0 1-1 3-3 4-4", "de <b>'ti y mí'</b> aquí"),
    # Not where they are linked to the words of other tags, or are many.
    ("<b>one</b> <i>two</i> end", "«eins zwei» aus", "0-0 1-1 2-2", "«<b>eins</b> <i>zwei</i>» aus"),
    ("say <b>no</b>", "«a b c d nein» x", "1-4", "«a b c d <b>nein</b>» x"),
    # Nor where the source has quotation marks itself, or what looks like them are apostrophes.
    ("say '<b>no</b>' now", "sag «doch nein» jetzt", "0-0 1-2 2-3", "sag «doch <b>nein</b>» jetzt"),
    ("to <b>Ali</b> from <i>me</i>", "benden Ali'nin ev'e", "1-1 3-0", "<i>benden</i> <b>Ali'nin</b> ev'e"),
    # A mark that is not closed, and one with a space inside.
    ("press <b>it</b> now", "жми «это все скорее", "0-0 1-1 2-3", "жми «<b>это</b> все скорее"),
    ("press <b>it</b> now", "жми « это все» скорее", "0-0 1-2 2-4", "жми « <b>это</b> все» скорее"),
    ("press <b>it</b> now", "жми « это все » скорее", "0-0 1-2 2-5", "жми « <b>это</b> все » скорее"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "target", "given", "expected"), QUOTED)
def test_words_in_quotation_marks_that_only_the_translation_has(
    source: str, target: str, given: str, expected: str
) -> None:
    assert transfer(source, target, links(given)).text == expected


def test_apostrophes_after_a_placeholder_are_no_quotation_marks() -> None:
    words = ["%a", "'", "dan", "%b", "'", "ye", "var"]
    found = transfer("from <b>%a</b> to <b>%b</b> on", "%a'dan %b'ye var", links("1-0 3-3 4-6"), target_words=words)
    assert found.text == "<b>%a</b>'dan <b>%b</b>'ye var"


def test_corner_brackets_stay_outside_the_words_between_them() -> None:
    words = ["「", "別名", "で", "保存", "」", "を", "押す"]
    found = transfer("press <b>save as</b>", "「別名で保存」を押す", links("0-6 1-3"), target_words=words)
    assert found.text == "「<b>別名で保存</b>」を押す"


def test_quoted_words_between_tags_with_the_marks_outside() -> None:
    found = transfer("press <b>save as</b> now", "жми «сохранить как» скорее", links("0-0 1-1 3-3"), quotes="outside")
    assert found.text == "жми «<b>сохранить как</b>» скорее"


@pytest.mark.parametrize("quotes", ["inside", "outside"])
def test_quotation_marks_that_both_have_stay_where_they_were(quotes: str) -> None:
    given = [(0, 0), (1, 1)]
    assert transfer('<b>"name"</b> is', "«имя» есть", given, quotes=quotes).text == "<b>«имя»</b> есть"
    assert transfer('"<b>name</b>" is', "«имя» есть", given, quotes=quotes).text == "«<b>имя</b>» есть"


SENTENCES_IN_TAGS = [
    # The end of a sentence, and its beginning, have no links.
    ("a <b>c d.</b> e", "x. y z ende. w", "1-1 2-2 3-4", "x. <b>y z ende.</b> w"),
    ("a. <b>c d!</b>", "x. vor y z ende!", "0-0 1-2 2-3", "x. <b>vor y z ende!</b>"),
    # Words that are linked to others, or belong to others, stay outside; so they do beside a part of a sentence.
    ("a <b>c d.</b> e", "x. y z ende. w", "0-3 1-1 2-2 3-4", "x. <b>y z</b> ende. w"),
    ("a <b>c d</b>. e", "x. y z ende. w", "1-1 2-2 3-4", "x. <b>y z</b> ende. w"),
    ("a <b>c d.</b>", "x. vor y z ende.", "0-0 1-2 2-3", "x. vor <b>y z ende.</b>"),
    # Not where no sentence ends there.
    ("a <b>c d.</b> e", "y z ende w", "1-0 2-1", "<b>y z</b> ende w"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "target", "given", "expected"), SENTENCES_IN_TAGS)
def test_a_pair_that_ends_with_a_sentence_does_so_in_the_translation(
    source: str, target: str, given: str, expected: str
) -> None:
    assert transfer(source, target, links(given)).text == expected


COMPOUNDS = [
    ("the <b>Salesforce</b> users", "die Salesforce-Benutzer", "1-1 2-1", "die <b>Salesforce</b>-Benutzer"),
    ("a Windows <i>session</i> ends", "die Windows-Sitzung endet", "1-1 2-1 3-2", "die Windows-<i>Sitzung</i> endet"),
    # A word that the source has whole stays whole, and so does one whose part stands alone too, or an address.
    ("run <b>image upload-to-image</b> now", "los upload-to-image da", "0-0 3-2", "los <b>upload-to-image</b> da"),
    ("<b>Plone</b> of Plone", "Plone und Plone-Seite", "0-2 2-0", "Plone und <b>Plone-Seite</b>"),
    ("the <b>Plone</b> page", "die x.Plone-Seite", "1-1", "die <b>x.Plone-Seite</b>"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "target", "given", "expected"), COMPOUNDS)
def test_a_name_in_a_compound_with_hyphens(source: str, target: str, given: str, expected: str) -> None:
    assert transfer(source, target, links(given)).text == expected


def test_pairs_may_be_split() -> None:
    source, target, given = "x <b>a <i>b</i></b> y", "p q r s", links("0-0 1-1 3-2 2-3")
    assert transfer(source, target, given, pairs="split").text == "p <b>q</b> r <b><i>s</i></b>"
    assert transfer(source, target, given).text == "p <b>q r <i>s</i></b>"


def test_weights_decide() -> None:
    """Two spans want the same word: the one with more weight has it."""
    source, target = "<b>a</b> <i>b</i>", "x y"
    assert transfer(source, target, links("0-0:0.9 1-0:0.1 1-1:0.5")).text == "<b>x</b> <i>y</i>"
    # A weak link to a word that belongs to another one does not stretch a span.
    assert transfer("<b>a</b> c d", "x y z", links("0-0:0.9 0-2:0.1 1-1:0.8 2-2:0.9")).text == "<b>x</b> y z"
    # An isolated tag goes where less weight is crossed.
    assert transfer("a <x/>b c", "p q r", links("0-0:0.2 0-2:0.9 1-1:0.5 2-1:0.1")).text == "p q r<x/>"
    assert transfer("a <x/>b c", "p q r", links("0-0:0.9 0-2:0.2 1-1:0.5 2-1:0.1")).text == "p <x/>q r"


def test_guesses_are_told() -> None:
    done = transfer("<b>a</b> b <x/> c", "x y z", [])
    assert done.guessed == (0, 2)
    assert transfer("<b>a</b> b <x/> c", "x y z", [(0, 0), (1, 1), (2, 2)]).guessed == ()


def test_words_that_links_count_may_be_given() -> None:
    words = ["Note", ":", "read", "on"]
    given = [(0, 1), (2, 3), (3, 2)]
    done = transfer("<b>Note</b>: read on", "(Hinweis) weiter lesen", given, source_words=words,
                    target_words=["(", "Hinweis", ")", "weiter", "lesen"])  # fmt: skip
    assert done.text == "(<b>Hinweis</b>) weiter lesen"
    # Moses' tokeniser escapes, and marks joined hyphens; pieces have marks of their own.
    done = transfer("<b>a's</b> b-c", "x y", [(0, 1), (2, 0)], source_words=["a", "&apos;s", "b", "@-@", "c"],
                    target_words=["▁x", "▁y"])  # fmt: skip
    assert done.text == "x <b>y</b>"


def test_tags_inside_words_where_pieces_show_where() -> None:
    pieces = {"source_words": ["un@@", "believ@@", "able"], "target_words": ["un@@", "glaub@@", "lich"]}
    given = [(0, 0), (1, 1), (2, 2)]
    assert transfer("un<b>believ</b>able", "unglaublich", given, **pieces).text == "un<b>glaub</b>lich"
    assert transfer("un<x/>believable", "unglaublich", given, **pieces).text == "un<x/>glaublich"
    # A tag at the edge of a word goes to the edge of a word.
    pieces = {"source_words": ["so", "good"], "target_words": ["un@@", "glaub@@", "lich", "gut"]}
    assert transfer("<b>so</b> good", "unglaublich gut", [(0, 1), (1, 3)], **pieces).text == "<b>unglaublich</b> gut"
    assert transfer("so <x/> good", "unglaublich gut", [(0, 0), (1, 2)], **pieces).text == "unglaublich <x/> gut"


def test_protected_text_needs_no_links() -> None:
    source, target = "Run <code>go -x .</code> <b>%s</b> now", "Jetzt %s mit go -x . starten"
    done = transfer(source, target, [(0, 6), (5, 0), (1, 2)], markup="html,placeholders=printf")
    assert done.text == "Jetzt <b>%s</b> mit <code>go -x .</code> starten"
    assert done.guessed == ()
    # The first to the first, and so on.
    done = transfer("%s <b>%s</b>", "a %s b %s", [], markup="xml,placeholders=printf")
    assert done.text == "a %s b <b>%s</b>"


def test_inline_codes_of_xliff() -> None:
    source = 'Click <bpt id="1">&lt;b&gt;</bpt>here<ept id="1">&lt;/b&gt;</ept> to <ph id="2">%d</ph>open.'
    expected = '<bpt id="1">&lt;b&gt;</bpt>Hier<ept id="1">&lt;/b&gt;</ept> klicken zum <ph id="2">%d</ph>Öffnen.'
    given = links("0-1 1-0 2-2 3-3")
    assert transfer(source, "Hier klicken zum Öffnen.", given, markup="xliff").text == expected


@pytest.mark.parametrize(
    ("source", "target", "given", "expected"),
    [
        # One link leads over the break; before it and after it stand the same marks, spaces and capitals.
        ("<b>Our lists</b><br/>Want answers?", "Unsere Listen Willst du Antworten?", "0-0 1-1 1-2 2-3 3-4",
         "<b>Unsere Listen</b><br/>Willst du Antworten?"),
        ("<h1>Our lists</h1> <p>Ask us.</p>", "Unsere Liste Frag uns.", "0-0 1-2 2-2 3-3",
         "<h1>Unsere Liste</h1> <p>Frag uns.</p>"),
        ("one two<br/>three four", "一二 三四", "0-0 1-0 2-0 3-1", "一二<br/>三四"),
        # A pair that the links lead astray stays in its block.
        ("<p>See <b>here</b>.</p><p>Ask us.</p>", "Siehe hier. Frag uns.", "0-0 1-3 2-2 3-3",
         "<p>Siehe <b>hier</b>.</p><p>Frag uns.</p>"),
        # Blocks that have changed places follow the links.
        ('<li n="1">a b</li><li n="2">c d</li>', "z w x y", "0-2 1-3 2-0 3-1",
         '<li n="2">z w</li> <li n="1">x y</li>'),
    ],
)  # fmt: skip
def test_blocks_and_lines(source: str, target: str, given: str, expected: str) -> None:
    assert transfer(source, target, links(given)).text == expected


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(AlignmentRangeError, match="the source has 2, the translation 1"):
        transfer("<b>a</b> b", "x", [(0, 1)])
    with pytest.raises(GuidedAlignError, match="word 2, 'd', the text has 'b'"):
        transfer("<b>a</b> b", "x", [], source_words=["a", "d"])
    with pytest.raises(GuidedAlignError, match="wanted one of keep, split; got 'no'"):
        transfer("<b>a</b> b", "x", [], pairs="no")
    with pytest.raises(MarkupError, match="line 1, column 1: <b> is not closed"):
        transfer("<b>a", "x", [])


def test_a_translation_whose_blocks_are_glued_together() -> None:
    """Its tags were taken out without a space: a capital letter right behind a small one or a full stop shows where."""
    source, given = "<p>Yes.</p><p>Ask <b>us</b>.</p>", [(0, 0), (2, 3)]
    words = {"source_words": ["Yes", ".", "Ask", "us", "."], "target_words": ["Ja", ".", "Frag", "uns", "."]}
    assert transfer(source, "Ja.Frag uns.", [*given, (3, 3)], **words).text == "<p>Ja.</p><p>Frag <b>uns</b>.</p>"


def test_a_translation_of_white_space_alone_keeps_it() -> None:
    for target in (" ", "   "):
        text = transfer("Haus<b><b><x/>  </b>HausHaus</b>", target, []).text
        assert re.sub("<[^>]*>", "", text) == target


def test_code_that_a_translation_has_as_one_word() -> None:
    """As where it took the place of a word; a link of its second word would stretch the tags over the words before."""
    source = "You see it with <code>cargo doc --verbose</code>."
    words = ["Sie", "sehen", "es", "mit", "dem", "cargo doc --verbose", "."]
    done = transfer(source, " ".join(words), [(0, 0), (1, 1), (3, 3), (5, 2), (4, 5)], "html", target_words=words)
    assert done.text == "Sie sehen es mit dem <code>cargo doc --verbose</code> ."
