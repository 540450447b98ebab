// Takes the code from the address's fragment, and out of the address, before anybody can copy that.
"use strict";
(() => {
  const found = /^#code=([A-Za-z0-9_-]{1,200})$/.exec(location.hash);
  if (!found) return;
  history.replaceState(null, "", location.pathname);
  const form = document.getElementById("come-in");
  form.elements.code.value = found[1];
  form.requestSubmit();
})();
