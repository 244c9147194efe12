"use strict";
// Sorting, filtering and curves of the leaderboard's pages. State is in location.hash as a query (sort.<table>=<key>.<direction>,
// filter.<task>=<text>, draw.<task>=<entry>, arm.<task>=<arm>), only where it differs from the page's own; no request is made.
(() => {
  document.documentElement.classList.add("js");
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  let touched = null; // the section that was changed last: a deep link leads to it
  const tables = all("table[data-sortable]").map(sortable);
  const tasks = all("[data-task]").map(task);

  // --- Tables ---
  function sortable(table) {
    const heads = all("thead th", table);
    const self = { id: table.id, initial: null, key: null, direction: null, sort, reset: () => sort(...self.initial) };
    for (const head of heads) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const first = head.dataset.first;
        const other = first === "ascending" ? "descending" : "ascending";
        sort(head.dataset.key, self.key === head.dataset.key && self.direction === first ? other : first);
        touched = table.closest("[data-task]").id;
        save();
      });
    }
    function sort(key, direction) {
      const column = heads.findIndex((head) => head.dataset.key === key);
      if (column < 0 || !["ascending", "descending"].includes(direction)) return;
      Object.assign(self, { key, direction });
      for (const head of heads) head.removeAttribute("aria-sort");
      heads[column].setAttribute("aria-sort", direction);
      const text = heads[column].classList.contains("text") || key === "date";
      const value = (row) => row.cells[column].dataset.value;
      const unranked = (row) => row.cells[column].dataset.rank === "";
      const sign = direction === "ascending" ? 1 : -1;
      const rows = all("tbody tr", table);
      rows.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === ""); // what has no value is last either way,
        if (!unranked(a) !== !unranked(b)) return unranked(a) - unranked(b); // and before it what has no rank among the ranked
        return sign * (text ? x.localeCompare(y, "en") : Number(x) - Number(y));
      });
      table.tBodies[0].append(...rows);
      rule(table, column);
    }
    self.rule = () => rule(table, heads.findIndex((head) => head.dataset.key === self.key));
    self.initial = [table.dataset.sortable, heads.find((head) => head.dataset.key === table.dataset.sortable).dataset.first];
    self.reset();
    return self;
  }

  // A rule where the rank changes, between the rows that are shown.
  function rule(table, column) {
    let before;
    for (const row of all("tbody tr", table)) {
      const rank = row.cells[column].dataset.rank;
      row.classList.toggle("lead", !row.hidden && before !== undefined && rank !== undefined && rank !== before);
      if (!row.hidden) before = rank;
    }
  }

  // --- A task: its filter, and its figure ---
  function task(section) {
    const id = section.dataset.task;
    const filter = section.querySelector("[data-filter]");
    const boxes = all("[data-draw]", section);
    const arms = all("[data-arm]", section);
    const figure = section.querySelector("[data-figure]");
    const data = JSON.parse(figure.querySelector("script").textContent);
    const chosen = new Map(); // entry id -> its colour, which it keeps while it is chosen
    const self = { id, restore, write };
    const initial = boxes.slice(0, 3).map((box) => box.dataset.draw);
    const several = boxes.length > 1;
    const first = arms.filter((box) => !several || box.dataset.arm === "winning");
    const initialArms = (first.length ? first : arms).map((box) => box.dataset.arm);
    const picked = (list, key) => list.filter((box) => box.checked).map((box) => box.dataset[key]);
    const change = () => { touched = section.id; draw(); save(); };
    for (const box of [...boxes, ...arms]) box.addEventListener("change", change);
    filter?.addEventListener("input", () => { touched = section.id; show(); save(); });
    new ResizeObserver(draw).observe(figure.querySelector(".canvas"));

    function show() {
      if (!filter) return;
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      const rows = all("[data-rows] tbody tr", section);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
      const count = (list) => new Set(list.map((row) => row.dataset.entry)).size;
      section.querySelector("[data-count]").textContent = `${count(rows.filter((row) => !row.hidden))} of ${count(rows)} entries shown`;
      for (const table of tables) if (section.contains(document.getElementById(table.id))) table.rule();
    }

    function restore(state) {
      if (filter) filter.value = state.get(`filter.${id}`) ?? "";
      const wanted = state.has(`draw.${id}`) ? state.getAll(`draw.${id}`) : initial;
      for (const box of boxes) box.checked = wanted.includes(box.dataset.draw);
      const wantedArms = state.has(`arm.${id}`) ? state.getAll(`arm.${id}`) : initialArms;
      for (const box of arms) box.checked = wantedArms.includes(box.dataset.arm);
      chosen.clear();
      show();
      draw();
    }

    function write(state) {
      if (filter?.value) state.set(`filter.${id}`, filter.value);
      const list = (name, now, then) => {
        if (now.length === then.length && now.every((value) => then.includes(value))) return;
        for (const value of now.length ? now : [""]) state.append(`${name}.${id}`, value);
      };
      list("draw", picked(boxes, "draw"), initial);
      list("arm", picked(arms, "arm"), initialArms);
    }

    function draw() {
      const ids = picked(boxes, "draw");
      const entries = boxes.length ? data.entries.filter((entry) => ids.includes(entry.id)) : data.entries;
      for (const key of [...chosen.keys()]) if (!ids.includes(key)) chosen.delete(key);
      for (const { id: key } of entries) {
        const used = new Set(chosen.values());
        if (!chosen.has(key)) chosen.set(key, data.palette.find((colour) => !used.has(colour)) ?? data.palette[chosen.size % data.palette.length]);
      }
      const byEntry = entries.length > 1;
      const names = picked(arms, "arm");
      const lines = entries.flatMap((entry) => data.arms.filter((arm) => names.includes(arm.name) && Object.hasOwn(entry.curves, arm.name)).map((arm) => ({
        label: byEntry ? `${entry.label}: ${arm.name}` : arm.name,
        colour: byEntry ? chosen.get(entry.id) : arm.colour,
        marker: arm.marker, dash: arm.dash, points: entry.curves[arm.name],
      })));
      const dense = entries.length === 1 && entries[0].dense !== null ? { value: entries[0].dense, margin: data.margin } : null;
      plot(figure, lines, dense, data.axis);
      figure.querySelector("figcaption").textContent = lines.length
        ? `${data.axis} against density, sparser to the right. Line: mean over replicates; band, from four of them: 95 % interval; dots, below four: every one. ` +
          (byEntry ? "Colour: the entry; line and mark: the arm." : `Of ${entries[0].label}.${dense ? ` Dashed: dense; grey: dense ± ${data.margin}.` : ""}`)
        : "Nothing is chosen: tick an entry and an arm.";
    }
    return self;
  }

  // --- Figure ---
  function svg(name, attributes = {}, parent = null, text = null) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "stroke" || key === "fill") element.style[key] = value.startsWith("--") ? `var(${value})` : value;
      else element.setAttribute(key, value);
    }
    if (text !== null) element.textContent = text;
    parent?.append(element);
    return element;
  }

  const spread = (angles, r) => angles.map((angle, i) => `${r[i % r.length] * Math.sin(angle)},${-r[i % r.length] * Math.cos(angle)}`).join(" ");
  const turn = (n, start = 0) => Array.from({ length: n }, (_, i) => start + (2 * Math.PI * i) / n);
  const MARKS = {
    s: "-3,-3 3,-3 3,3 -3,3", "^": spread(turn(3), [4.4]), v: spread(turn(3, Math.PI), [4.4]), D: spread(turn(4), [4.2]),
    P: "-1.3,-4 1.3,-4 1.3,-1.3 4,-1.3 4,1.3 1.3,1.3 1.3,4 -1.3,4 -1.3,1.3 -4,1.3 -4,-1.3 -1.3,-1.3",
    X: spread(turn(4, Math.PI / 4).flatMap((a) => [a - 0.3, a + 0.3, a + Math.PI / 4]), [4.6, 4.6, 1.8]), "*": spread(turn(10), [4.8, 2]),
  };
  function mark(parent, line, x, y) {
    const at = svg("g", { transform: `translate(${x} ${y})`, fill: line.colour }, parent);
    if (line.marker in MARKS) svg("polygon", { points: MARKS[line.marker] }, at);
    else svg("circle", { r: 3.2 }, at);
    return at;
  }

  const number = (value) => String(Number(value.toPrecision(4))).replace("-", "−");
  const percent = (density) => `${Number((density * 100).toPrecision(3))} %`;

  function ticks(low, high, most) {
    const rough = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const found = [];
    for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(Number((i * step).toPrecision(12)));
    return found;
  }

  function plot(figure, lines, dense, axis) {
    const canvas = figure.querySelector(".canvas");
    const legend = figure.querySelector(".legend");
    canvas.replaceChildren();
    legend.replaceChildren();
    const points = lines.flatMap((line) => line.points).filter((point) => point.centre !== null);
    if (!points.length) return;
    const width = Math.max(260, canvas.clientWidth), height = 340;
    const box = { left: 54, right: width - 8, top: 26, bottom: height - 44 };
    const values = points.flatMap((point) => [point.centre, ...point.extremes]).concat(dense ? [dense.value] : []);
    let [low, high] = [Math.min(...values), Math.max(...values)];
    const pad = 0.08 * (high - low) || 0.05 * Math.abs(high) || 1;
    [low, high] = [low - pad, high + pad];
    const densities = points.map((point) => point.density);
    const [right, left] = [Math.log(Math.min(...densities) / 1.08), Math.log(Math.max(...densities) * 1.08)];
    const x = (density) => box.left + ((left - Math.log(density)) / (left - right)) * (box.right - box.left);
    const y = (value) => box.bottom - ((value - low) / (high - low)) * (box.bottom - box.top);

    const description = `${lines.length} curves: ${lines.map((line) => line.label).join("; ")}. The tables give every number.`;
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${axis} against density. ${description}` }, canvas);
    const clip = `clip-${figure.dataset.figure}`;
    svg("rect", { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top }, svg("clipPath", { id: clip }, svg("defs", {}, root)));
    for (const value of ticks(low, high, 6)) {
      svg("line", { x1: box.left, x2: box.right, y1: y(value), y2: y(value), stroke: "--line" }, root);
      svg("text", { x: box.left - 6, y: y(value) + 4, "text-anchor": "end" }, root, number(value));
    }
    let free = -Infinity; // no two labels run into one another
    for (let e = 0; e >= -6; e--) for (const m of [10, 5, 2]) {
      const density = m * 10 ** (e - 1);
      if (x(density) < box.left || x(density) > box.right) continue;
      svg("line", { x1: x(density), x2: x(density), y1: box.bottom, y2: box.bottom + 5, stroke: "--muted" }, root);
      if (x(density) < free) continue;
      svg("text", { x: x(density), y: box.bottom + 18, "text-anchor": "middle" }, root, String(Number((density * 100).toPrecision(3))));
      free = x(density) + 30;
    }
    svg("line", { x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom, stroke: "--muted" }, root);
    svg("text", { x: (box.left + box.right) / 2, y: height - 8, "text-anchor": "middle" }, root, "density: weights remaining (%, log scale)");
    svg("text", { x: 4, y: 14 }, root, axis);

    const area = svg("g", { "clip-path": `url(#${clip})` }, root);
    if (dense) {
      const margin = { y: y(dense.value + dense.margin), height: y(dense.value - dense.margin) - y(dense.value + dense.margin) };
      svg("rect", { x: box.left, width: box.right - box.left, ...margin, fill: "--muted", opacity: 0.16, "data-margin": "" }, area);
      svg("line", { x1: box.left, x2: box.right, y1: y(dense.value), y2: y(dense.value), stroke: "--ink", "stroke-dasharray": "3 3" }, area);
    }
    for (const line of lines) {
      const shown = line.points.filter((point) => point.centre !== null);
      const bands = shown.filter((point) => point.band?.every((bound) => bound !== null));
      const edge = bands.map((p) => [x(p.density), y(p.band[1])]).concat(bands.map((p) => [x(p.density), y(p.band[0])]).reverse());
      if (bands.length) svg("polygon", { points: edge.join(" "), fill: line.colour, opacity: 0.15, "data-band": "" }, area);
      for (const p of shown) for (const value of p.values) svg("circle", { cx: x(p.density), cy: y(value), r: 1.6, fill: line.colour, opacity: 0.55 }, area);
    }
    for (const line of lines) {
      const shown = line.points.filter((point) => point.centre !== null);
      const dash = line.dash.map((length) => length * 1.7).join(" ") || "none";
      svg("polyline", { points: shown.map((p) => `${x(p.density)},${y(p.centre)}`).join(" "), fill: "none", stroke: line.colour, "stroke-width": 1.7, "stroke-dasharray": dash, "data-line": line.label }, area);
      for (const p of shown) {
        const band = p.band ? ` [${number(p.band[0])}, ${number(p.band[1])}]` : "";
        svg("title", {}, mark(root, line, x(p.density), y(p.centre)), `${line.label}, ${percent(p.density)}: ${number(p.centre)}${band}${p.n === null ? "" : `, n = ${p.n}`}`);
      }
      for (const p of line.points) if (p.diverged) {
        svg("title", {}, svg("text", { x: x(p.density), y: box.bottom - 4, "text-anchor": "middle" }, root, "×"), `${line.label}, ${percent(p.density)}: ${p.diverged} diverged`);
      }
      const item = document.createElement("li");
      const sample = svg("svg", { viewBox: "0 0 42 16", "aria-hidden": "true" }, item);
      svg("line", { x1: 0, x2: 42, y1: 8, y2: 8, stroke: line.colour, "stroke-width": 1.7, "stroke-dasharray": dash }, sample);
      mark(sample, line, 21, 8);
      const name = document.createElement("span");
      name.textContent = line.label;
      item.append(name);
      legend.append(item);
    }
  }

  // --- The address ---
  function save() {
    const state = new URLSearchParams();
    if (touched) state.set("at", touched);
    for (const table of tables) if (table.key !== table.initial[0] || table.direction !== table.initial[1]) state.set(`sort.${table.id}`, `${table.key}.${table.direction}`);
    for (const one of tasks) one.write(state);
    history.replaceState(null, "", `#${state}`);
  }

  function restore() {
    const hash = location.hash.slice(1);
    if (hash && !hash.includes("=")) return; // an anchor of the page: what is chosen stays
    const state = new URLSearchParams(hash);
    for (const table of tables) {
      const wanted = state.get(`sort.${table.id}`);
      table.reset();
      if (wanted) table.sort(wanted.slice(0, wanted.lastIndexOf(".")), wanted.slice(wanted.lastIndexOf(".") + 1));
    }
    for (const one of tasks) one.restore(state);
    touched = state.get("at");
    if (touched) document.getElementById(touched)?.scrollIntoView();
  }

  for (const one of tasks) one.restore(new URLSearchParams());
  restore();
  addEventListener("hashchange", restore);
  addEventListener("beforeprint", () => { for (const details of all("details:not(.long)")) details.open = true; });
})();
