"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const DAY = 86400000;

  const stale = by("stale");
  if (stale) {
    const made = by("today").dataset.day;
    const since = Math.floor(Date.now() / DAY) - Math.floor(Date.parse(made + "T00:00:00Z") / DAY);
    if (since > 0) {
      stale.hidden = false;
      stale.textContent = `This page was written ${since} ${since === 1 ? "day" : "days"} ago. The ages in the matrix are counted to today; the arithmetic below is as of ${made}.`;
      for (const cell of document.querySelectorAll("[data-days]")) {
        const days = Number(cell.dataset.days) + since;
        cell.querySelector("strong").textContent = `${days} ${days === 1 ? "day" : "days"}`;
        if (days > 30) cell.className = "cell cell-red";
      }
    }
  }

  const block = by("all");
  if (!block) return;
  const all = JSON.parse(block.textContent);
  const [form, body, count, turn, newer, older] = ["filter", "rows", "count", "turn", "newer", "older"].map(by);
  const PAGE = 50;
  const FIELDS = ["experiment", "service", "verdict", "class", "from", "to"];
  const ID = 0, AT = 1, VERDICT = 2, EXPERIMENT = 3, SERVICE = 4, ENVIRONMENT = 5, CLASSES = 6, TOOK = 7, SHIFT = 8, RECOVERY = 9, WORSE = 10, LINK = 11;
  const place = new Map(all.words.map((word, n) => [word, n]));
  let chosen = all.rows, page = 0;

  const wanted = () => Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value]));

  const filtered = (want) => {
    const at = (name) => (want[name] ? place.get(want[name]) ?? -1 : null);
    const [experiment, service, verdict, failure] = ["experiment", "service", "verdict", "class"].map(at);
    const from = want.from ? Date.parse(want.from + "T00:00:00Z") / 1000 : -Infinity;
    const to = want.to ? (Date.parse(want.to + "T00:00:00Z") + DAY) / 1000 : Infinity;
    return all.rows.filter((row) =>
      (experiment === null || row[EXPERIMENT] === experiment) && (service === null || row[SERVICE] === service) &&
      (verdict === null || row[VERDICT] === verdict) && (failure === null || row[CLASSES].includes(failure)) &&
      row[AT] >= from && row[AT] < to);
  };

  const add = (parent, tag, said, kind) => {
    const made = document.createElement(tag);
    if (said !== undefined) made.textContent = said;
    if (kind) made.className = kind;
    parent.append(made);
    return made;
  };

  const cells = (row) => {
    const line = document.createElement("tr");
    const [label, tone] = all.verdicts[all.words[row[VERDICT]]];
    const first = add(line, "td");
    add(first, "span", label, "badge small tone-" + tone);
    if (row[WORSE]) {
      first.append(" ");
      add(first, "span", "worse", "worse");
    }
    for (const n of [EXPERIMENT, SERVICE, ENVIRONMENT]) add(line, "td", all.words[row[n]]);
    add(line, "td", row[CLASSES].map((n) => all.words[n]).join(", "));
    add(line, "td", new Date(row[AT] * 1000).toISOString().slice(0, 19).replace("T", " "), "when");
    for (const n of [TOOK, SHIFT, RECOVERY]) add(line, "td", all.words[row[n]], "n");
    const last = add(line, "td");
    const where = row[LINK] ? add(last, "a") : last;
    if (row[LINK]) where.href = encodeURIComponent(row[ID]) + ".html";
    add(where, "code", row[ID]);
    return line;
  };

  const show = () => {
    const pages = Math.max(1, Math.ceil(chosen.length / PAGE));
    page = Math.min(Math.max(0, page), pages - 1);
    const part = chosen.slice(page * PAGE, (page + 1) * PAGE);
    body.replaceChildren(...part.map(cells));
    if (!part.length) add(add(body, "tr"), "td", "No run fits these filters.").colSpan = 10;
    const range = part.length ? `${page * PAGE + 1}–${page * PAGE + part.length} of ` : "";
    count.textContent = `${range}${chosen.length} runs${chosen.length < all.rows.length ? ` that fit, of ${all.rows.length}` : ""}`;
    newer.disabled = page === 0;
    older.disabled = page >= pages - 1;
    turn.hidden = pages < 2;
  };

  const keep = () => {
    const told = Object.entries(wanted()).filter(([, value]) => value);
    if (page) told.push(["page", String(page + 1)]);
    const said = new URLSearchParams(told).toString();
    history.replaceState(null, "", said ? "#" + said : location.pathname + location.search);
  };

  const restore = () => {
    const told = new URLSearchParams(location.hash.slice(1));
    for (const name of FIELDS) {
      const value = told.get(name) ?? "";
      const field = form.elements[name];
      field.value = field.type === "date" && Number.isNaN(Date.parse(value + "T00:00:00Z")) ? "" : value;
    }
    chosen = filtered(wanted());
    page = (Number.parseInt(told.get("page") ?? "1", 10) || 1) - 1;
    show();
  };

  const change = () => {
    chosen = filtered(wanted());
    page = 0;
    show();
    keep();
  };

  const go = (by) => {
    page += by;
    show();
    keep();
  };

  form.hidden = false;
  form.addEventListener("change", change);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(change));
  newer.addEventListener("click", () => go(-1));
  older.addEventListener("click", () => go(1));
  addEventListener("hashchange", () => { if (location.hash !== "#main") restore(); });
  restore();
})();
