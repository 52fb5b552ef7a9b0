(() => {
  const { partners } = tracing;
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const languages = { source: data.source, target: data.target };
  let cards = [];
  let lines = []; // of the translation, as text
  let asked = null; // the question under way

  /* ---------- the question ---------- */

  const options = (select, pairs) => select.append(...pairs.map(([name, value]) => new Option(name, value)));
  options(byId("kind"), [["none", ""], ...data.kinds.map((kind) => [kind, kind])]);
  options(byId("placeholders"), [
    ["none", ""], ["all kinds", "placeholders"], ...data.sets.map((name) => [name, `placeholders=${name}`]),
  ]);

  function choose(markup) {
    for (const kind of markup.split(",")) {
      const select = byId(kind.startsWith("placeholders") ? "placeholders" : "kind");
      if (![...select.options].some(({ value }) => value === kind)) select.append(new Option(kind.split("=").pop(), kind));
      select.value = kind;
    }
  }

  function question() {
    const kinds = [byId("kind").value, byId("placeholders").value].filter(Boolean);
    return { text: byId("text").value, beam: Number(byId("beam").value), markup: kinds.join(",") || null };
  }

  async function answer(body, signal) {
    const headers = { "Content-Type": "application/json" };
    let response;
    try {
      response = await fetch(data.questions, { method: "POST", headers, body, signal });
    } catch (error) {
      if (signal.aborted) throw error;
      return { error: { message: "The server does not answer. Does the command still run?" } };
    }
    return response.json();
  }

  async function translate() {
    if (asked) asked.abort();
    const own = new AbortController();
    asked = own;
    const body = JSON.stringify(question());
    const size = new TextEncoder().encode(body).length;
    byId("translation").classList.add("old");
    say("Translating …");
    let found;
    try {
      found = size > data.max_bytes
        ? { error: { message: `The text has ${size} bytes; at most ${data.max_bytes} are translated at once.` } }
        : await answer(body, own.signal);
    } catch (error) {
      if (own.signal.aborted) return; // A newer question has taken its place.
      throw error;
    }
    asked = null;
    if (found.error) complain(found.error);
    else show(found.lines);
  }

  function say(text, isError = false) {
    byId("message").textContent = text;
    byId("message").classList.toggle("error", isError);
    byId("text").setAttribute("aria-invalid", String(isError));
  }

  function complain({ message, line, column }) {
    const place = [line && `line ${line}`, column && `column ${column}`].filter(Boolean).join(", ");
    say(place ? `${place}: ${message}` : message, true);
    if (column) moveTo(line, column);
  }

  // The cursor goes to a character. Columns count characters, which may take two places in a text of JavaScript.
  function moveTo(line, column) {
    const text = byId("text");
    const every = text.value.split("\n");
    const before = every.slice(0, line - 1).join("\n").length + (line > 1);
    const place = before + [...every[line - 1]].slice(0, column - 1).join("").length;
    text.focus();
    text.setSelectionRange(place, place);
  }

  /* ---------- the answer ---------- */

  function show(found) {
    lines = found.map((line) => (line ? line.parts.map(([text]) => text).join("") : ""));
    byId("translation").classList.remove("old");
    byId("translation").replaceChildren(...found.map((line) => paragraph(line ? line.parts : [])));
    byId("copy").disabled = !found.some(Boolean);
    cards = [];
    byId("cards").replaceChildren(...found.flatMap((line, number) => (line ? [makeCard(line, number + 1, found.length)] : [])));
    byId("links").hidden = !cards.length;
    tracer.clear();
    const guessed = found.reduce((sum, line) => sum + (line ? line.guessed : 0), 0);
    const told = guessed === 1 ? "1 tag was" : `${guessed} tags were`;
    say(!cards.length ? "There is no text." : guessed ? `${told} placed by a guess: no link speaks for its place.` : "");
  }

  function paragraph(parts) {
    const made = document.createElement("p");
    tracing.setLanguage(made, data.target);
    for (const [text, isTag] of parts) {
      if (isTag) {
        const tag = document.createElement("span");
        tag.className = "tag";
        tag.textContent = text;
        made.append(tag);
      } else {
        made.append(text);
      }
    }
    return made;
  }

  function makeCard(line, number, of) {
    const card = tracing.makeCard(line.view, 0, languages, 0);
    const title = document.createElement("h3");
    const figures = document.createElement("span");
    figures.textContent = `score ${line.score.toFixed(3)}`;
    title.append(of > 1 ? `Line ${number}` : "Words", figures);
    card.root.append(title, tracing.makeSides(card));
    cards.push(card);
    return card.root;
  }

  const always = () => true;

  function trace(token, card) {
    for (const one of cards) {
      if (one !== card) tracing.mark(one, null, new Map());
    }
    const shown = [document.createElement("div"), document.createElement("div")];
    byId("trace").replaceChildren(...shown);
    if (!token) {
      shown[0].append("Point at a word, or walk with Tab and the arrow keys, to trace its links.");
      return;
    }
    const found = partners(card, token, always);
    tracing.mark(card, token, found);
    shown[0].append(...tracing.named(card, token));
    shown[1].append(...tracing.described(card, token, found));
  }

  const tracer = tracing.follow(byId("cards"), () => cards, trace, always);

  async function copy() {
    const text = lines.join("\n");
    try {
      await navigator.clipboard.writeText(text);
      say("Copied.");
    } catch (error) {
      // The browser does not let pages copy: the user does it, with all of it selected.
      getSelection().selectAllChildren(byId("translation"));
      say("The browser does not let this page copy. The translation is selected: copy it with Ctrl+C.");
    }
  }

  /* ---------- controls ---------- */

  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    translate();
  });
  byId("copy").addEventListener("click", copy);
  for (const id of ["kind", "placeholders", "beam"]) {
    byId(id).addEventListener("change", () => { if (cards.length && byId("form").reportValidity()) translate(); });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") tracer.clear();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      byId("form").requestSubmit();
    }
  });
  tracing.switchThemes(byId("theme"));
  byId("summary").textContent = data.model;
  byId("beam").max = data.max_beam;
  tracing.setLanguage(byId("text"), data.source);
  choose(data.markup);
  byId("text").focus();
})();
