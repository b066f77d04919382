"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const tip = document.getElementById("tip");
  const list = document.querySelector("#lineage ol");
  const asked = document.querySelector("#lineage input");
  const run_asked = document.querySelector("#lineage select");
  const REACH = 16;
  let pinned = null;
  let shown = null;

  const quantities = Object.fromEntries(data.quantities.map((q) => [q.name, q]));
  const text_of = (q, value) =>
    (value * q.scale).toLocaleString("en-US", {
      minimumFractionDigits: q.decimals, maximumFractionDigits: q.decimals,
    }) + (q.unit ? ` ${q.unit}` : "");

  const scale_of = (words) => {
    const [low, high, start, end, log] = words.split(" ").map(Number);
    const warp = log ? (v) => Math.log(Math.max(v, 1e-12)) : (v) => v;
    return (v) => start + ((warp(v) - warp(low)) / (warp(high) - warp(low))) * (end - start);
  };

  const panels = [...document.querySelectorAll("svg.panel")].map((svg) => {
    const { x, y, xaxis, yaxis } = svg.dataset;
    const at_x = scale_of(xaxis);
    const at_y = scale_of(yaxis);
    const spots = data.runs.map((run) =>
      run.values.error.map((error, i) =>
        error === null || (run.epochs[i] && data.runs.length > 1) ? null : [at_x(run.values[x][i]), at_y(run.values[y][i])]));
    return { svg, spots, overlay: svg.querySelector(".overlay") };
  });

  const lineage_of = (run, index) => {
    const chain = [index];
    for (let up = data.runs[run].parent[index]; up !== null; up = data.runs[run].parent[up]) chain.push(up);
    return chain;
  };

  const draw = (panel, name, attributes) => {
    const made = document.createElementNS(panel.svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    panel.overlay.append(made);
  };

  const fill_tip = (run, index) => {
    const { name, values, parent, morph, epochs } = data.runs[run];
    const head = document.createElement("b");
    head.textContent = `#${index}${data.runs.length > 1 ? `, ${name}` : ""}`
      + (epochs[index] ? `, stopped after ${epochs[index]} epochs` : "");
    const table = document.createElement("table");
    for (const q of data.quantities) {
      const row = table.insertRow();
      row.insertCell().textContent = q.label;
      row.insertCell().textContent = text_of(q, values[q.name][index]);
    }
    const from = document.createElement("div");
    from.textContent = parent[index] === null ? morph[index] : `from #${parent[index]}: ${morph[index]}`;
    tip.replaceChildren(head, table, from);
  };

  const fill_list = (run, index, chain) => {
    const { values, morph, failure } = data.runs[run];
    const error = quantities.error;
    list.replaceChildren(...chain.map((i) => {
      const item = document.createElement("li");
      const reached = failure[i] === undefined ? `error ${text_of(error, values.error[i])}` : `failed: ${failure[i]}`;
      item.textContent = `#${i}  ${reached}  —  ${morph[i]}`;
      item.dataset.index = i;
      return item;
    }));
    if (document.activeElement !== asked) asked.value = index;
    if (run_asked) run_asked.value = run;
  };

  const show = (choice) => {
    const key = choice && choice.join(" ");
    if (key === shown) return;
    shown = key;
    for (const panel of panels) panel.overlay.replaceChildren();
    for (const one of document.querySelectorAll(".selected")) one.classList.remove("selected");
    if (!choice) {
      list.replaceChildren();
      asked.value = "";
      return;
    }
    const [run, index] = choice;
    const chain = lineage_of(run, index);
    for (const panel of panels) {
      const spots = chain.map((i) => panel.spots[run][i]).filter((spot) => spot);
      draw(panel, "path", { class: "chain", d: "M" + spots.map((s) => s.join(" ")).join("L") });
      spots.forEach(([cx, cy], nth) =>
        draw(panel, "circle", { class: nth ? "ring" : "ring self", cx, cy, r: nth ? Math.max(4 - nth / 4, 2) : 8 }));
    }
    for (const one of document.querySelectorAll(`[data-run="${run}"][data-index="${index}"]`)) {
      one.classList.add("selected");
    }
    fill_list(run, index, chain);
  };

  const nearest = (panel, event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(panel.svg.getScreenCTM().inverse());
    let found = null;
    let least = REACH ** 2;
    panel.spots.forEach((spots, run) => spots.forEach((spot, index) => {
      if (!spot) return;
      const far = (spot[0] - point.x) ** 2 + (spot[1] - point.y) ** 2;
      if (far < least) [least, found] = [far, [run, index]];
    }));
    return found;
  };

  const hide_tip = () => { tip.hidden = true; };

  const move_tip = (event) => {
    tip.hidden = false;
    const beside = event.pageX + 18 + tip.offsetWidth < root.scrollLeft + root.clientWidth;
    tip.style.left = `${beside ? event.pageX + 18 : Math.max(event.pageX - 18 - tip.offsetWidth, 0)}px`;
    tip.style.top = `${event.pageY + 14}px`;
  };

  for (const panel of panels) {
    panel.svg.addEventListener("pointermove", (event) => {
      const found = nearest(panel, event);
      show(found || pinned);
      if (!found) return hide_tip();
      fill_tip(...found);
      move_tip(event);
    });
    panel.svg.addEventListener("pointerleave", () => { hide_tip(); show(pinned); });
    panel.svg.addEventListener("click", (event) => { pinned = nearest(panel, event); show(pinned); });
  }
  for (const row of document.querySelectorAll("tr[data-index], .learned")) {
    row.addEventListener("click", () => {
      pinned = [Number(row.dataset.run), Number(row.dataset.index)];
      show(pinned);
    });
  }
  const ask = () => {
    const run = run_asked ? Number(run_asked.value) : 0;
    const index = asked.valueAsNumber;
    pinned = Number.isInteger(index) && index >= 0 && index < data.runs[run].parent.length ? [run, index] : null;
    show(pinned);
  };
  if (asked) asked.addEventListener("input", ask);
  if (run_asked) run_asked.addEventListener("change", ask);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    pinned = null;
    hide_tip();
    show(null);
  });

  if (list) root.classList.add("with-script");
})();
