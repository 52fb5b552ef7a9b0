"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const ROW = 25; // pixels a token of the longer sentence
  const CELL = 19; // pixels a cell of the matrix

  const state = {
    order: [], // indices of the pairs as listed
    current: 0, // index of the pair shown
    level: "words",
    a: 0,
    b: data.systems.length > 1 ? 1 : -1,
    least: 0.05,
    descending: false,
    pinned: null, // {side, index} of a token that stays traced
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
    state.pinned = null;
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

  function element(name, attributes, parent) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (parent) parent.append(made);
    return made;
  }

  function setLanguage(node, name) {
    node.dir = "auto";
    if (/^[a-z]{2,3}(-[A-Za-z0-9]+)*$/.test(name)) node.lang = name;
  }

  // Flat lists to objects: {s, t} with sure or p.
  function linksOf(view, system) {
    const every = { gold: [], hard: [], soft: [] };
    const gold = new Map();
    for (let i = 0; view.gold && i < view.gold.length; i += 3) {
      const [s, t, sure] = view.gold.slice(i, i + 3);
      every.gold.push({ s, t, sure: Boolean(sure) });
      gold.set(`${s}-${t}`, Boolean(sure));
    }
    const own = view.systems[system];
    for (let i = 0; own.hard && i < own.hard.length; i += 2) {
      const [s, t] = own.hard.slice(i, i + 2);
      every.hard.push({ s, t, wrong: view.gold !== null && !gold.has(`${s}-${t}`) });
    }
    for (let i = 0; own.soft && i < own.soft.length; i += 3) {
      const [s, t, p] = own.soft.slice(i, i + 3);
      every.soft.push({ s, t, p });
    }
    return every;
  }

  let cards = []; // {root, system, links, tokens: {source: [...], target: [...]}}

  function draw() {
    const pair = data.pairs[state.current];
    byId("pair-title").textContent = `Pair ${pair.id}`;
    cards = [];
    const shown = [["A", state.a]];
    if (state.b >= 0) shown.push(["B", state.b]);
    const view = viewOf(pair);
    byId("cards").replaceChildren(...shown.map(([letter, system]) => makeCard(view, letter, system)));
    trace(null);
  }

  function makeCard(view, letter, system) {
    const root = document.createElement("section");
    root.className = "card";
    root.dataset.system = system;
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
    const links = linksOf(view, system);
    const card = { root, system, links, tokens: { source: [], target: [] }, labels: { source: [], target: [] } };
    const sides = document.createElement("div");
    sides.className = "sides";
    const height = Math.max(view.source.length, view.target.length, 1) * ROW;
    sides.style.height = `${height}px`;
    sides.append(
      makeSide(view, card, "source"),
      makeLines(view, links, height),
      makeSide(view, card, "target"),
    );
    root.append(sides);
    if (byId("show-matrix").checked) root.append(makeMatrix(view, card));
    cards.push(card);
    return root;
  }

  function makeSide(view, card, side) {
    const list = document.createElement("ul");
    list.className = `side ${side}`;
    list.setAttribute("aria-label", `${side} tokens: ${side === "source" ? data.source : data.target}`);
    view[side].forEach((text, index) => {
      const item = document.createElement("li");
      const token = document.createElement("span");
      token.className = "token";
      token.textContent = text;
      token.title = text;
      setLanguage(token, side === "source" ? data.source : data.target);
      token.tabIndex = index === 0 ? 0 : -1;
      token.setAttribute("role", "button");
      token.dataset.side = side;
      token.dataset.index = index;
      item.append(token);
      list.append(item);
      card.tokens[side].push(token);
    });
    return list;
  }

  function makeLines(view, links, height) {
    const svg = element("svg", {
      class: "lines", viewBox: `0 0 100 ${height}`, preserveAspectRatio: "none", "aria-hidden": "true",
    });
    const sourceStep = height / view.source.length;
    const targetStep = height / view.target.length;
    const path = (link, className, parent) => {
      const y = (link.s + 0.5) * sourceStep;
      const z = (link.t + 0.5) * targetStep;
      return element("path", {
        d: `M0,${y.toFixed(1)}C45,${y.toFixed(1)} 55,${z.toFixed(1)} 100,${z.toFixed(1)}`,
        class: className, "data-s": link.s, "data-t": link.t,
      }, parent);
    };
    const layer = (name) => element("g", { class: `${name}-mark` }, svg);
    const gold = layer("gold");
    for (const link of links.gold) path(link, link.sure ? "gold" : "gold possible", gold);
    const soft = layer("soft");
    for (const link of links.soft) {
      const line = path(link, "soft", soft);
      line.style.setProperty("--p", (0.12 + 0.6 * link.p).toFixed(3));
      line.style.opacity = (0.08 + 0.5 * link.p).toFixed(3);
      line.style.strokeWidth = `${(1 + 6 * link.p).toFixed(2)}px`;
      line.dataset.p = link.p;
      if (link.p < state.least) line.style.display = "none";
    }
    const hard = layer("hard");
    for (const link of links.hard) path(link, link.wrong ? "hard wrong" : "hard", hard);
    const middle = document.createElement("div");
    middle.className = "middle";
    middle.append(svg);
    return middle;
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
      if (t >= 0 && t < view.target.length) hover({ side: "target", index: t });
      else if (s >= 0 && s < view.source.length) hover({ side: "source", index: s });
      else hover(null);
    });
    svg.addEventListener("mouseleave", () => hover(null));
    box.append(svg);
    return box;
  }

  /* ---------- tracing ---------- */

  const layerShown = (name) => byId(`show-${name}`).checked;

  // The visible links of a card that touch a token: other side's index -> what joins them.
  function partners(card, token) {
    const found = new Map();
    const [own, other] = token.side === "source" ? ["s", "t"] : ["t", "s"];
    const add = (link, name) => {
      if (link[own] !== token.index) return;
      const entry = found.get(link[other]) || {};
      entry[name] = link;
      found.set(link[other], entry);
    };
    if (layerShown("gold")) for (const link of card.links.gold) add(link, "gold");
    if (layerShown("hard")) for (const link of card.links.hard) add(link, "hard");
    if (layerShown("soft")) for (const link of card.links.soft) if (link.p >= state.least) add(link, "soft");
    return found;
  }

  const rank = (entry) => (entry.hard ? 4 : 0) + (entry.gold ? 2 : 0) + (entry.soft ? entry.soft.p : 0);
  const strongestFirst = ([i, x], [j, y]) => rank(y) - rank(x) || i - j;

  function trace(token) {
    const view = viewOf(data.pairs[state.current]);
    const other = token && (token.side === "source" ? "target" : "source");
    // As many lines with a token as without: what one points at must not move away.
    const lines = [document.createElement("div"), ...cards.map(() => document.createElement("div"))];
    byId("trace").replaceChildren(...lines);
    if (token) {
      const bold = document.createElement("b");
      bold.textContent = view[token.side][token.index];
      setLanguage(bold, token.side === "source" ? data.source : data.target);
      lines[0].append(bold, ` (${token.side} ${token.index})`);
    } else {
      lines[0].append("Point at a token, or walk with Tab and the arrow keys, to trace its links.");
    }
    cards.forEach((card, number) => {
      const found = token ? partners(card, token) : new Map();
      card.root.classList.toggle("tracing", Boolean(token));
      for (const side of ["source", "target"]) {
        const isTraced = (index) => Boolean(token) && side === token.side && index === token.index;
        const isLinked = (index) => Boolean(token) && side === other && found.has(index);
        for (const shown of [card.tokens[side], card.labels[side]]) {
          shown.forEach((node, index) => {
            node.classList.toggle("traced", isTraced(index));
            node.classList.toggle("linked", isLinked(index));
          });
        }
      }
      for (const line of card.root.querySelectorAll("svg.lines path")) {
        const end = token ? line.dataset[token.side === "source" ? "s" : "t"] : null;
        line.classList.toggle("on", Boolean(token) && Number(end) === token.index);
      }
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
      if (token) lines[number + 1].append(...described(view, card, other, found));
    });
  }

  function described(view, card, other, found) {
    const parts = [`${data.systems[card.system]}: `];
    const best = [...found].sort(strongestFirst);
    if (!best.length) parts.push("no links");
    best.slice(0, 6).forEach(([index, entry], number) => {
      const word = document.createElement("b");
      word.textContent = view[other][index];
      setLanguage(word, other === "source" ? data.source : data.target);
      const notes = [];
      if (entry.hard) notes.push(entry.hard.wrong ? "hard, not gold" : "hard");
      if (entry.gold) notes.push(entry.gold.sure ? "gold" : "possible gold");
      if (entry.soft) notes.push(entry.soft.p.toFixed(2));
      parts.push(number ? "; " : "", word, ` (${notes.join(", ")})`);
    });
    if (best.length > 6) parts.push(`; and ${best.length - 6} weaker`);
    return parts;
  }

  function hover(token) {
    if (!state.pinned) trace(token);
  }

  function tokenOf(node) {
    const token = node.closest ? node.closest(".token") : null;
    return token ? { side: token.dataset.side, index: Number(token.dataset.index) } : null;
  }

  const sameToken = (x, y) => x && y && x.side === y.side && x.index === y.index;

  function pin(token) {
    state.pinned = sameToken(state.pinned, token) ? null : token;
    trace(token);
  }

  const area = byId("cards");
  area.addEventListener("mouseover", (event) => {
    const token = tokenOf(event.target);
    if (token) hover(token);
  });
  area.addEventListener("mouseout", (event) => {
    if (tokenOf(event.target)) hover(null);
  });
  area.addEventListener("focusin", (event) => {
    const token = tokenOf(event.target);
    if (!token) return;
    state.pinned = null;
    trace(token);
  });
  area.addEventListener("focusout", (event) => {
    if (tokenOf(event.target)) hover(null);
  });
  area.addEventListener("click", (event) => {
    const token = tokenOf(event.target);
    if (token) pin(token);
  });
  area.addEventListener("keydown", (event) => {
    const token = tokenOf(event.target);
    if (!token) return;
    const card = cards.find(({ root }) => root.contains(event.target));
    const own = card.tokens[token.side];
    const go = (node) => {
      if (!node) return;
      for (const one of card.tokens[node.dataset.side]) one.tabIndex = one === node ? 0 : -1;
      node.focus();
    };
    const cross = () => {
      const side = token.side === "source" ? "target" : "source";
      const best = [...partners(card, token)].sort(strongestFirst)[0];
      const last = card.tokens[side].length - 1;
      go(card.tokens[side][best ? best[0] : Math.min(last, token.index)]);
    };
    const moves = {
      ArrowDown: () => go(own[token.index + 1]),
      ArrowUp: () => go(own[token.index - 1]),
      Home: () => go(own[0]),
      End: () => go(own[own.length - 1]),
      ArrowRight: () => token.side === "source" && cross(),
      ArrowLeft: () => token.side === "target" && cross(),
      Enter: () => pin(token),
      " ": () => pin(token),
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    moves[event.key]();
  });

  /* ---------- controls ---------- */

  function showLayers() {
    for (const name of ["gold", "hard", "soft"]) {
      area.classList.toggle(`no-${name}`, !layerShown(name));
    }
    byId("least").disabled = !layerShown("soft");
    trace(state.pinned);
  }

  for (const name of ["gold", "hard", "soft"]) byId(`show-${name}`).addEventListener("change", showLayers);

  byId("least").addEventListener("input", () => {
    state.least = Number(byId("least").value);
    byId("least-value").textContent = state.least.toFixed(2);
    for (const line of area.querySelectorAll("path.soft")) {
      line.style.display = Number(line.dataset.p) < state.least ? "none" : "";
    }
    trace(state.pinned);
  });

  function redraw() {
    state.pinned = null;
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

  const themes = ["system", "light", "dark"];
  byId("theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme || "system";
    const next = themes[(themes.indexOf(now) + 1) % themes.length];
    document.documentElement.dataset.theme = next;
    byId("theme").textContent = `Theme: ${next}`;
  });

  byId("help-button").addEventListener("click", () => {
    const help = byId("help");
    help.hidden = !help.hidden;
    byId("help-button").setAttribute("aria-expanded", String(!help.hidden));
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape") {
      state.pinned = null;
      trace(null);
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
