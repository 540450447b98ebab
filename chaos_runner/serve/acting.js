// The halt button without leaving the page: pulls, then shows how long it took until the faults were gone.
"use strict";
(() => {
  const form = document.querySelector("form[data-halt]");
  if (!form) return;
  const told = form.querySelector("output");
  const button = form.querySelector("button");
  const json = { accept: "application/json" };
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));

  const shown = (one) => {
    if (one.state !== "done") return "Lever pulled after " + one.pulled_ms + " ms. Waiting until no fault is open …";
    if (one.trouble) return "Lever pulled; not watched: " + one.trouble;
    return one.gone.length ? one.gone.join(" · ") : "Lever pulled; nothing that it concerns was running.";
  };
  const follow = async (one) => {
    for (let tries = 0; one.state !== "done" && tries < 200; tries += 1) {
      await wait(250);
      const answer = await fetch("/api/v1/halts/" + one.number, { headers: json });
      if (!answer.ok) throw new Error(answer.status);
      one = await answer.json();
      told.textContent = shown(one);
    }
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    told.textContent = "Pulling the lever …";
    try {
      const answer = await fetch(form.action, { method: "POST", headers: json, body: new URLSearchParams(new FormData(form)) });
      const one = await answer.json();
      if (!answer.ok) throw new Error(one.error);
      told.textContent = shown(one);
      await follow(one);
    } catch (why) {
      told.textContent = "It cannot be told here whether the lever is pulled (" + why.message + "). Type: chaos-runner halt";
    } finally {
      button.disabled = false;
    }
  });
})();
