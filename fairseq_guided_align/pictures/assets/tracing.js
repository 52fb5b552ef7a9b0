"use strict";
// Two columns of tokens joined by lines, and what lights up as one points at a token: shared by all pages.
// A card is {root, system, view, links, languages, tokens: {source, target}, labels: {source, target}}.
const tracing = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const ROW = 25; // pixels a token of the longer sentence

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

  // Soft links below `least` are drawn, and hidden until it falls.
  function makeCard(view, system, languages, least) {
    const root = document.createElement("section");
    root.className = "card";
    root.dataset.system = system;
    const labels = { source: [], target: [] };
    return { root, system, view, languages, least, links: linksOf(view, system), tokens: { source: [], target: [] }, labels };
  }

  function makeSides(card) {
    const { view } = card;
    const sides = document.createElement("div");
    sides.className = "sides";
    const height = Math.max(view.source.length, view.target.length, 1) * ROW;
    sides.style.height = `${height}px`;
    sides.append(makeSide(card, "source"), makeLines(card, height), makeSide(card, "target"));
    return sides;
  }

  function makeSide(card, side) {
    const list = document.createElement("ul");
    list.className = `side ${side}`;
    list.setAttribute("aria-label", `${side} tokens: ${card.languages[side]}`);
    card.view[side].forEach((text, index) => {
      const item = document.createElement("li");
      const token = document.createElement("span");
      token.className = "token";
      token.textContent = text;
      token.title = text;
      setLanguage(token, card.languages[side]);
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

  function makeLines({ view, links, least }, height) {
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
      if (link.p < least) line.style.display = "none";
    }
    const hard = layer("hard");
    for (const link of links.hard) path(link, link.wrong ? "hard wrong" : "hard", hard);
    const middle = document.createElement("div");
    middle.className = "middle";
    middle.append(svg);
    return middle;
  }

  // The links of a card that touch a token: other side's index -> what joins them. `shown` tells whether a link is seen.
  function partners(card, token, shown) {
    const found = new Map();
    const [own, other] = token.side === "source" ? ["s", "t"] : ["t", "s"];
    for (const name of ["gold", "hard", "soft"]) {
      for (const link of card.links[name]) {
        if (link[own] !== token.index || !shown(name, link)) continue;
        const entry = found.get(link[other]) || {};
        entry[name] = link;
        found.set(link[other], entry);
      }
    }
    return found;
  }

  const rank = (entry) => (entry.hard ? 4 : 0) + (entry.gold ? 2 : 0) + (entry.soft ? entry.soft.p : 0);
  const strongestFirst = ([i, x], [j, y]) => rank(y) - rank(x) || i - j;
  const otherSide = (token) => (token.side === "source" ? "target" : "source");

  // Lights up a token and its partners in a card; without a token, everything goes out.
  function mark(card, token, found) {
    card.root.classList.toggle("tracing", Boolean(token));
    for (const side of ["source", "target"]) {
      const isTraced = (index) => Boolean(token) && side === token.side && index === token.index;
      const isLinked = (index) => Boolean(token) && side === otherSide(token) && found.has(index);
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
  }

  function named(card, token) {
    const bold = document.createElement("b");
    bold.textContent = card.view[token.side][token.index];
    setLanguage(bold, card.languages[token.side]);
    return [bold, ` (${token.side} ${token.index})`];
  }

  // The partners of a token in words, the strongest first.
  function described(card, token, found) {
    const other = otherSide(token);
    const parts = [];
    const best = [...found].sort(strongestFirst);
    if (!best.length) parts.push("no links");
    best.slice(0, 6).forEach(([index, entry], number) => {
      const word = document.createElement("b");
      word.textContent = card.view[other][index];
      setLanguage(word, card.languages[other]);
      const notes = [];
      if (entry.hard) notes.push(entry.hard.wrong ? "hard, not gold" : "hard");
      if (entry.gold) notes.push(entry.gold.sure ? "gold" : "possible gold");
      if (entry.soft) notes.push(entry.soft.p.toFixed(2));
      parts.push(number ? "; " : "", word, ` (${notes.join(", ")})`);
    });
    if (best.length > 6) parts.push(`; and ${best.length - 6} weaker`);
    return parts;
  }

  // Follows pointer and keyboard over the cards in an area. `cards()` are those there, `trace(token, card)` shows a
  // token's links or, with null, none, and `shown` is as of `partners`.
  function follow(area, cards, trace, shown) {
    let pinned = null; // the {side, index, card} that stays traced

    function tokenOf(node) {
      const token = node.closest ? node.closest(".token") : null;
      if (!token) return null;
      const card = cards().find(({ root }) => root.contains(token));
      return { side: token.dataset.side, index: Number(token.dataset.index), card };
    }

    const same = (x, y) => x && y && x.side === y.side && x.index === y.index && x.card === y.card;
    const show = (token) => trace(token, token && token.card);

    function hover(token) {
      if (!pinned) show(token);
    }

    function pin(token) {
      pinned = same(pinned, token) ? null : token;
      show(token);
    }

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
      pinned = null;
      show(token);
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
      const { card } = token;
      const own = card.tokens[token.side];
      const go = (node) => {
        if (!node) return;
        for (const one of card.tokens[node.dataset.side]) one.tabIndex = one === node ? 0 : -1;
        node.focus();
      };
      const cross = () => {
        const side = otherSide(token);
        const best = [...partners(card, token, shown)].sort(strongestFirst)[0];
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
      if (!moves[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      moves[event.key]();
    });

    return {
      hover,
      again: () => show(pinned),
      // Nothing is traced any more.
      clear: () => { pinned = null; show(null); },
    };
  }

  function switchThemes(button) {
    const themes = ["system", "light", "dark"];
    button.addEventListener("click", () => {
      const now = document.documentElement.dataset.theme || "system";
      const next = themes[(themes.indexOf(now) + 1) % themes.length];
      document.documentElement.dataset.theme = next;
      button.textContent = `Theme: ${next}`;
    });
  }

  return { element, setLanguage, makeCard, makeSides, partners, mark, named, described, follow, switchThemes };
})();
