// Reads the values of a moment, under the pointer or with the arrow keys, in all charts at once; shows and hides lines.
// The page is complete without it.
"use strict";
(() => {
  const all = JSON.parse(document.getElementById("values").textContent);
  const drawn = all.charts.map((chart) => {
    const svg = document.getElementById(chart.id);
    const figure = svg.closest("figure");
    return { ...chart, svg, figure, cross: svg.querySelector(".cross"), readout: figure.querySelector(".readout") };
  });
  const span = all.right - all.left;

  const trimmed = (value) => String(Number(value.toPrecision(3)));
  const duration = (s) => {
    if (s < 0.9995) return trimmed(s * 1000) + " ms";
    return s < 99.95 ? trimmed(s) + " s" : trimmed(s / 60) + " min";
  };
  const units = { duration, share: (v) => trimmed(v * 100) + " %", number: trimmed };
  const clock = (t) => {
    const pad = (n) => String(n).padStart(2, "0");
    const whole = Math.floor(t), hours = Math.floor(whole / 3600);
    return (hours ? hours + ":" : "") + pad(Math.floor(whole / 60) % 60) + ":" + pad(whole % 60);
  };

  const nearest = (times, t) => {
    let low = 0, high = times.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (times[middle] <= t) low = middle; else high = middle;
    }
    return t - times[low] <= times[high] - t ? low : high;
  };

  const told = (chart, n) => {
    return chart.lines.filter((line) => !line.off).map((line) => {
      const value = line.values[n];
      return line.name + " " + (value === null ? "unknown" : units[chart.unit](value));
    }).join(" · ");
  };

  let now = null;
  const show = (t) => {
    now = Math.min(Math.max(t, 0), all.end);
    for (const chart of drawn) {
      if (!chart.times.length) continue;
      const n = nearest(chart.times, now);
      const x = all.left + span * chart.times[n] / all.end;
      chart.cross.setAttribute("x1", x);
      chart.cross.setAttribute("x2", x);
      chart.cross.style.visibility = "visible";
      chart.readout.textContent = clock(chart.times[n]) + " · " + told(chart, n);
    }
  };
  const hide = () => {
    now = null;
    for (const chart of drawn) {
      chart.cross.style.visibility = "hidden";
      chart.readout.textContent = "";
    }
  };

  const moved = (chart, by) => {
    const n = now === null ? 0 : nearest(chart.times, now) + by;
    show(chart.times[Math.min(Math.max(n, 0), chart.times.length - 1)]);
  };
  const toggle = (chart, name, lines, drawn) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "toggle";
    button.textContent = name;
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      const off = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!off));
      for (const line of lines) line.off = off;
      for (const part of chart.svg.querySelectorAll(drawn)) part.classList.toggle("off", off);
      if (now !== null) show(now);
    });
    return button;
  };
  for (const chart of drawn) {
    const buttons = chart.lines.slice(0, chart.drawn).map((line, n) => [line.name, [line], `[data-line="${n}"]`]);
    if (chart.svg.querySelector(".envelope"))
      buttons.push(["lowest to highest", chart.lines.slice(chart.drawn), ".envelope"]);
    if (buttons.length < 2 || !chart.svg.querySelector("[data-line]")) continue;
    const group = document.createElement("div");
    group.className = "toggles";
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Show or hide");
    group.append(...buttons.map((one) => toggle(chart, ...one)));
    chart.figure.querySelector("figcaption").after(group);
  }

  const keys = { ArrowLeft: -1, ArrowRight: 1, PageDown: 10, PageUp: -10 };
  for (const chart of drawn) {
    chart.svg.addEventListener("pointermove", (event) => {
      const box = chart.svg.getBoundingClientRect();
      const x = (event.clientX - box.left) * chart.svg.viewBox.baseVal.width / box.width;
      show((x - all.left) / span * all.end);
    });
    chart.svg.addEventListener("pointerleave", hide);
    chart.svg.addEventListener("blur", hide);
    chart.svg.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hide();
      if (!(event.key in keys) || !chart.times.length) return;
      event.preventDefault();
      moved(chart, keys[event.key]);
    });
  }
})();
