"use strict";
(() => {
  const { element, setLanguage, partners } = tracing;
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const CELL = 19; // pixels a cell of the matrix

  const state = {
    order: [], // indices of the pairs as listed
    current: 0, // index of the pair shown
    level: "words",
    a: 0,
    b: data.systems.length > 1 ? 1 : -1,
    least: 0.05,
    descending: false,
  };

  /* ---------- scores ---------- */

  const ratio = (numerator, denominator, ifEmpty) => (denominator ? numerator / denominator : ifEmpty);

  // Counts are predicted, sure, possible, sure hits, possible hits; empty sets count as faultless.
  function scores(counts) {
    if (!counts) return null;
    const [predicted, sure, , hitSure, hitPossible] = counts;
    return {
      precision: ratio(hitPossible, predicted, 1),
      recall: ratio(hitSure, sure, 1),
      aer: 1 - ratio(hitSure + hitPossible, predicted + sure, 1),
    };
  }

  const percent = (value) => (100 * value).toFixed(1);

  function viewOf(pair) {
    return pair[state.level] || pair.words;
  }

  function countsOf(pair, system) {
    return system < 0 ? null : viewOf(pair).systems[system].counts;
  }

  function aerOf(pair, system) {
    const score = scores(countsOf(pair, system));
    return score ? score.aer : null;
  }

  function total(system) {
    let sum = null;
    for (const pair of data.pairs) {
      const counts = countsOf(pair, system);
      if (counts) sum = sum ? sum.map((value, i) => value + counts[i]) : counts;
    }
    return scores(sum);
  }

  /* ---------- the list ---------- */

  const sorts = [
    ["order", "order in the file", () => null],
    ["aer-a", "AER of A", (pair) => aerOf(pair, state.a)],
    ["aer-b", "AER of B", (pair) => aerOf(pair, state.b)],
    ["difference", "AER of A minus B", (pair) => {
      const a = aerOf(pair, state.a);
      const b = aerOf(pair, state.b);
      return a === null || b === null ? null : a - b;
    }],
    ["length", "length", (pair) => viewOf(pair).source.length + viewOf(pair).target.length],
  ];

  const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const folded = data.pairs.map((pair) =>
    fold(`${pair.words.source.join(" ")}\n${pair.words.target.join(" ")}`));

  const items = data.pairs.map((pair, index) => {
    const item = document.createElement("li");
    item.id = `item-${index}`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", "false");
    item.dataset.index = index;
    const figures = document.createElement("div");
    figures.className = "figures";
    const text = document.createElement("div");
    text.className = "text";
    text.textContent = pair.words.target.join(" ");
    setLanguage(text, data.target);
    item.append(figures, text);
    return item;
  });

  function fillFigures() {
    data.pairs.forEach((pair, index) => {
      const figures = items[index].firstChild;
      figures.replaceChildren();
      const add = (className, label, value) => {
        const span = document.createElement("span");
        span.className = className;
        span.append(label);
        if (value !== undefined) {
          const bold = document.createElement("b");
          bold.textContent = value;
          span.append(" ", bold);
        }
        figures.append(span);
      };
      add("number", pair.id);
      const a = aerOf(pair, state.a);
      const b = aerOf(pair, state.b);
      if (a !== null) add("aer", state.b >= 0 ? "AER A" : "AER", percent(a));
      if (b !== null) add("aer", "B", percent(b));
      const view = viewOf(pair);
      add("size", `${view.source.length} → ${view.target.length}`);
    });
  }

  function fillList() {
    const wanted = fold(byId("find").value.trim());
    const value = sorts.find(([name]) => name === byId("sort").value)[2];
    const sign = state.descending ? -1 : 1;
    const keyed = [];
    data.pairs.forEach((pair, index) => {
      if (!wanted || folded[index].includes(wanted)) keyed.push([value(pair), index]);
    });
    // Pairs without the figure come last either way; equals keep the order of the file.
    keyed.sort(([x, i], [y, j]) => {
      if (x === null || y === null) {
        return (x === null) - (y === null) || (x === y ? sign * (i - j) : i - j);
      }
      return sign * (x - y) || i - j;
    });
    state.order = keyed.map(([, index]) => index);
    byId("list").replaceChildren(...state.order.map((index) => items[index]));
    byId("count").textContent = state.order.length === data.pairs.length
      ? `${data.pairs.length} sentence pairs`
      : `${state.order.length} of ${data.pairs.length} sentence pairs`;
    const button = byId("direction");
    button.textContent = state.descending ? "↓" : "↑";
    button.setAttribute("aria-label", state.descending ? "Descending; reverse the order" : "Ascending; reverse the order");
    if (state.order.length && !state.order.includes(state.current)) select(state.order[0]);
  }

  function select(index) {
    items[state.current].setAttribute("aria-selected", "false");
    state.current = index;
    items[index].setAttribute("aria-selected", "true");
    byId("list").setAttribute("aria-activedescendant", items[index].id);
    if (items[index].isConnected) items[index].scrollIntoView({ block: "nearest" });
    try {
      history.replaceState(null, "", `#pair=${encodeURIComponent(data.pairs[index].id)}`);
    } catch (error) {
      // Some viewers of local files forbid it; the page works without.
    }
    draw();
    byId("pair").scrollTop = 0;
  }

  function step(by) {
    if (!state.order.length) return;
    const at = state.order.indexOf(state.current);
    select(state.order[Math.min(state.order.length - 1, Math.max(0, at + by))]);
  }

  /* ---------- one pair ---------- */

  const languages = { source: data.source, target: data.target };
  let cards = [];

  function draw() {
    const pair = data.pairs[state.current];
    byId("pair-title").textContent = `Pair ${pair.id}`;
    cards = [];
    const shown = [["A", state.a]];
    if (state.b >= 0) shown.push(["B", state.b]);
    const view = viewOf(pair);
    byId("cards").replaceChildren(...shown.map(([letter, system]) => makeCard(view, letter, system)));
    tracer.clear();
  }

  function makeCard(view, letter, system) {
    const card = tracing.makeCard(view, system, languages, state.least);
    const { root } = card;
    const title = document.createElement("h3");
    title.textContent = state.b >= 0 ? `${letter}: ${data.systems[system]}` : data.systems[system];
    const score = scores(view.systems[system].counts);
    const figures = document.createElement("span");
    if (score) {
      figures.textContent =
        `AER ${percent(score.aer)} · precision ${percent(score.precision)} · recall ${percent(score.recall)}`;
    }
    title.append(figures);
    root.append(title);
    const missing = [["gold", view.gold], ["hard", view.systems[system].hard], ["soft", view.systems[system].soft]]
      .filter(([, links]) => links === null).map(([name]) => name);
    if (missing.length) {
      const note = document.createElement("p");
      note.className = "none";
      note.textContent = `No ${missing.join(" and no ")} links were given.`;
      root.append(note);
    }
    root.append(tracing.makeSides(card));
    if (byId("show-matrix").checked) root.append(makeMatrix(view, card));
    cards.push(card);
    return root;
  }

  const ruler = document.createElement("canvas").getContext("2d");

  function makeMatrix(view, card) {
    const box = document.createElement("div");
    box.className = "matrix";
    box.tabIndex = 0;
    box.setAttribute("role", "img");
    box.setAttribute("aria-label",
      `Matrix of ${data.systems[card.system]}: ${view.source.length} source columns, ${view.target.length} target rows`);
    ruler.font = "12px system-ui, 'Noto Sans', 'DejaVu Sans', sans-serif";
    const cut = (text) => (text.length > 24 ? `${text.slice(0, 23)}…` : text);
    const widest = (texts) => Math.max(0, ...texts.map((text) => ruler.measureText(cut(text)).width)) + 8;
    const left = widest(view.target);
    const top = widest(view.source);
    const width = view.source.length * CELL;
    const height = view.target.length * CELL;
    const svg = element("svg", { width: left + width + 12, height: top + height + 4 });
    const cells = element("g", { transform: `translate(${left},${top})` }, svg);
    const soft = element("g", { class: "soft-mark" }, cells);
    for (const { s, t, p } of card.links.soft) {
      const cell = element("rect", {
        class: "soft", x: s * CELL, y: t * CELL, width: CELL, height: CELL, "fill-opacity": Math.pow(p, 0.7).toFixed(3),
      }, soft);
      element("title", {}, cell).textContent = `${view.source[s]} – ${view.target[t]}: ${p}`;
    }
    for (let s = 0; s <= view.source.length; s += 1) {
      element("line", { class: "grid", x1: s * CELL, y1: 0, x2: s * CELL, y2: height }, cells);
    }
    for (let t = 0; t <= view.target.length; t += 1) {
      element("line", { class: "grid", x1: 0, y1: t * CELL, x2: width, y2: t * CELL }, cells);
    }
    card.cross = ["x", "y"].map(() => element("rect", { class: "cross", width: 0, height: 0 }, cells));
    card.matrixSize = { width, height };
    const gold = element("g", { class: "gold-mark" }, cells);
    for (const { s, t, sure } of card.links.gold) {
      element("rect", {
        class: sure ? "gold" : "gold possible", x: s * CELL + 1.5, y: t * CELL + 1.5, width: CELL - 3, height: CELL - 3,
      }, gold);
    }
    const hard = element("g", { class: "hard-mark" }, cells);
    for (const { s, t } of card.links.hard) {
      element("circle", { class: "hard", cx: (s + 0.5) * CELL, cy: (t + 0.5) * CELL, r: 3.2 }, hard);
    }
    view.source.forEach((text, s) => {
      const label = element("text", {
        transform: `translate(${left + (s + 0.5) * CELL + 4},${top - 5}) rotate(-90)`,
      }, svg);
      label.textContent = cut(text);
      card.labels.source.push(label);
    });
    view.target.forEach((text, t) => {
      const label = element("text", { x: left - 5, y: top + (t + 0.5) * CELL + 4, "text-anchor": "end" }, svg);
      label.textContent = cut(text);
      card.labels.target.push(label);
    });
    svg.addEventListener("mousemove", (event) => {
      const corner = svg.getBoundingClientRect();
      const s = Math.floor((event.clientX - corner.left - left) / CELL);
      const t = Math.floor((event.clientY - corner.top - top) / CELL);
      if (t >= 0 && t < view.target.length) tracer.hover({ side: "target", index: t, card });
      else if (s >= 0 && s < view.source.length) tracer.hover({ side: "source", index: s, card });
      else tracer.hover(null);
    });
    svg.addEventListener("mouseleave", () => tracer.hover(null));
    box.append(svg);
    return box;
  }

  /* ---------- tracing ---------- */

  const layerShown = (name) => byId(`show-${name}`).checked;
  const shown = (name, link) => layerShown(name) && (name !== "soft" || link.p >= state.least);

  // In all cards: they show the same pair.
  function trace(token) {
    // As many lines with a token as without: what one points at must not move away.
    const lines = [document.createElement("div"), ...cards.map(() => document.createElement("div"))];
    byId("trace").replaceChildren(...lines);
    if (token) lines[0].append(...tracing.named(cards[0], token));
    else lines[0].append("Point at a token, or walk with Tab and the arrow keys, to trace its links.");
    cards.forEach((card, number) => {
      const found = token ? partners(card, token, shown) : new Map();
      tracing.mark(card, token, found);
      if (card.cross) {
        const [row, column] = card.cross;
        const { width, height } = card.matrixSize;
        const place = (node, x, y, w, h) => {
          for (const [key, value] of Object.entries({ x, y, width: w, height: h })) node.setAttribute(key, value);
        };
        place(row, 0, 0, 0, 0);
        place(column, 0, 0, 0, 0);
        if (token && token.side === "target") place(row, 0, token.index * CELL, width, CELL);
        if (token && token.side === "source") place(column, token.index * CELL, 0, CELL, height);
      }
      if (token) lines[number + 1].append(`${data.systems[card.system]}: `, ...tracing.described(card, token, found));
    });
  }

  const area = byId("cards");
  const tracer = tracing.follow(area, () => cards, trace, shown);

  /* ---------- controls ---------- */

  function showLayers() {
    for (const name of ["gold", "hard", "soft"]) {
      area.classList.toggle(`no-${name}`, !layerShown(name));
    }
    byId("least").disabled = !layerShown("soft");
    tracer.again();
  }

  for (const name of ["gold", "hard", "soft"]) byId(`show-${name}`).addEventListener("change", showLayers);

  byId("least").addEventListener("input", () => {
    state.least = Number(byId("least").value);
    byId("least-value").textContent = state.least.toFixed(2);
    for (const line of area.querySelectorAll("path.soft")) {
      line.style.display = Number(line.dataset.p) < state.least ? "none" : "";
    }
    tracer.again();
  });

  function redraw() {
    summarise();
    fillFigures();
    fillList();
    draw();
  }

  function summarise() {
    const parts = [`${data.source} to ${data.target}`];
    for (const system of [state.a, state.b]) {
      if (system < 0) continue;
      const score = total(system);
      if (score) parts.push(`${data.systems[system]}: AER ${percent(score.aer)}`);
    }
    byId("summary").textContent = parts.join(" · ");
  }

  function fillSystems() {
    const options = (select, withNone) => {
      select.replaceChildren();
      if (withNone) select.append(new Option("none", "-1"));
      data.systems.forEach((name, index) => select.append(new Option(name, String(index))));
    };
    options(byId("system-a"), false);
    options(byId("system-b"), true);
    byId("choice").hidden = data.systems.length < 2;
    chooseSystems(state.a, state.b);
    byId("system-a").addEventListener("change", () => { state.a = Number(byId("system-a").value); redraw(); });
    byId("system-b").addEventListener("change", () => { state.b = Number(byId("system-b").value); redraw(); });
  }

  function chooseSystems(a, b) {
    state.a = a;
    state.b = b;
    byId("system-a").value = String(a);
    byId("system-b").value = String(b);
  }

  byId("level").hidden = !data.pairs.some((pair) => pair.pieces);
  for (const radio of document.querySelectorAll("input[name=level]")) {
    radio.addEventListener("change", () => { state.level = radio.value; redraw(); });
  }

  const scored = data.pairs.some((pair) => pair.words.systems.some((system) => system.counts));
  for (const [name, label] of sorts) {
    const needsB = name === "aer-b" || name === "difference";
    if ((name.startsWith("aer") || name === "difference") && !scored) continue;
    if (needsB && data.systems.length < 2) continue;
    byId("sort").append(new Option(label, name));
  }
  byId("sort").addEventListener("change", () => {
    // Of errors and lengths people want the largest first.
    state.descending = byId("sort").value !== "order";
    fillList();
    if (state.order.length) select(state.order[0]);
  });
  byId("direction").addEventListener("click", () => {
    state.descending = !state.descending;
    fillList();
    if (state.order.length) select(state.order[0]);
  });
  byId("find").addEventListener("input", fillList);
  byId("show-matrix").addEventListener("change", draw);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));

  byId("list").addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (item) select(Number(item.dataset.index));
  });
  byId("list").addEventListener("keydown", (event) => {
    const far = state.order.length;
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -far, End: far }[event.key];
    if (!by) return;
    event.preventDefault();
    step(by);
  });

  tracing.switchThemes(byId("theme"));

  byId("help-button").addEventListener("click", () => {
    const help = byId("help");
    help.hidden = !help.hidden;
    byId("help-button").setAttribute("aria-expanded", String(!help.hidden));
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape") {
      tracer.clear();
      if (event.target === byId("find")) byId("find").blur();
      return;
    }
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && !/^(checkbox|radio|range)$/.test(event.target.type)) return;
    const toggle = (id) => byId(id).click();
    const keys = {
      j: () => step(1),
      k: () => step(-1),
      g: () => toggle("show-gold"),
      h: () => toggle("show-hard"),
      s: () => toggle("show-soft"),
      m: () => toggle("show-matrix"),
      x: () => { if (state.b >= 0) { chooseSystems(state.b, state.a); redraw(); } },
      "/": () => byId("find").focus(),
      "?": () => toggle("help-button"),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });

  function fromAddress() {
    const found = /^#pair=(.*)$/.exec(location.hash);
    if (!found) return 0;
    let id = found[1];
    try { id = decodeURIComponent(id); } catch (error) { /* taken as it is */ }
    return Math.max(0, data.pairs.findIndex((pair) => pair.id === id));
  }
  window.addEventListener("hashchange", () => select(fromAddress()));

  fillSystems();
  state.current = fromAddress();
  summarise();
  fillFigures();
  fillList();
  showLayers();
  select(state.current);
})();
