// Keeps the page as it is now, by server-sent events; a browser that was away says what it has, and gets the rest.
"use strict";
(() => {
  const main = document.querySelector("main[data-events]");
  if (!main) return;
  const now = document.getElementById("now");
  const rows = document.getElementById("rows");
  const said = document.getElementById("said");
  const trouble = document.getElementById("trouble");
  const events = new EventSource(main.dataset.events);

  const put = (html) => {
    const made = document.createElement("template");
    made.innerHTML = html;
    now.replaceChildren(made.content);
  };
  const cell = (text, kind) => {
    const made = document.createElement("td");
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  events.addEventListener("now", (event) => {
    const told = JSON.parse(event.data);
    put(told.html);
    trouble.textContent = "";
    document.title = told.title + " · chaos-runner";
    const phase = now.querySelector(".meaning strong");
    if (phase && said.textContent !== phase.textContent) said.textContent = phase.textContent;
  });
  events.addEventListener("record", (event) => {
    const told = JSON.parse(event.data);
    if (rows.querySelector('tr[data-seq="' + Number(told.seq) + '"]')) return;
    const row = document.createElement("tr");
    row.className = told.kind.split(" ").map((one) => "is-" + one).join(" ");
    row.dataset.seq = told.seq;
    row.append(cell(told.at, "at"), cell(told.t, "n"), cell(told.line));
    rows.append(row);
  });
  events.addEventListener("trouble", (event) => {
    trouble.textContent = "Not up to date: " + JSON.parse(event.data).why + ". The run goes on without this page.";
  });
  events.addEventListener("error", () => {
    trouble.textContent = "The server does not answer; this page tries again. The run goes on without it.";
  });
  events.addEventListener("open", () => { trouble.textContent = ""; });
  events.addEventListener("ended", () => {
    events.close();
    const halted = document.querySelector(".halted");
    const place = document.getElementById("ended");
    if (!halted || !halted.textContent || !place) return location.reload();
    const link = document.createElement("a");
    link.href = location.pathname;
    link.textContent = "The run is over: its report";
    place.replaceChildren(link);
  });
})();
