"""What every page is asked in a browser: its size, its paper, its contrast, its labels, and whether it is silent."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser.chromium import Browser

SIZES = ((375, 812), (1280, 720))
SCHEMES = ("light", "dark")
PNG = b"\x89PNG\r\n\x1a\n"
# Texts whose contrast with what is behind them is below 4.5 (3 for large ones); pictures have their own law.
CONTRAST = """(() => {
  const parts = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = (c) => parts(c).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (parts(c).length < 4 || parts(c)[3] > 0) return c;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    if (e.closest("svg, script, .skip, details:not([open])") || !e.textContent.trim() || e.children.length) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(e.tagName + " " + e.className + " " + ratio.toFixed(2));
  }
  return poor;
})()"""
# Headings that skip a level, controls and pictures without a name, table heads without a scope.
UNNAMED = """(() => {
  const poor = [];
  let level = 0;
  for (const h of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    const now = Number(h.tagName[1]);
    if (now > level + 1) poor.push("skips to " + h.tagName + " " + h.textContent.slice(0, 40));
    level = now;
  }
  if (document.querySelectorAll("h1").length !== 1) poor.push("not one h1");
  if (!document.documentElement.lang) poor.push("no lang");
  const name = (e) => (e.getAttribute("aria-label") || e.textContent || "").trim()
    || (e.getAttribute("aria-labelledby") || "").split(" ").every((id) => id && document.getElementById(id))
    || (e.labels && e.labels.length);
  const controls = "a, button, input:not([type=hidden]), select, textarea, summary, svg[role=img], nav, [role=region]";
  for (const e of document.querySelectorAll(controls))
    if (!name(e)) poor.push("no name: " + e.outerHTML.slice(0, 80));
  for (const e of document.querySelectorAll("th:not([scope])")) poor.push("no scope: " + e.textContent);
  return poor;
})()"""


def paper(browser: Browser, media: str, scheme: str) -> None:
    """Shows the page on a screen or printed, light or dark."""
    browser.ask("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])


@contextmanager
def sized(browser: Browser, width: int, height: int) -> Iterator[None]:
    """A window of that size, for pages opened meanwhile."""
    browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
    try:
        yield
    finally:
        browser.ask("Emulation.clearDeviceMetricsOverride")


def saved(folder: Path, page: str | bytes, name: str = "page.html") -> Path:
    """A page as a file that can be opened."""
    path = folder / name
    path.write_bytes(page if isinstance(page, bytes) else page.encode())
    return path


def picture(browser: Browser, file: Path | None = None) -> bytes:
    """A screenshot of the whole page, kept in `file` for people to look at."""
    taken = base64.b64decode(browser.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"])
    if file is not None:
        file.write_bytes(taken)
    return taken


def printed(browser: Browser) -> bytes:
    """The page as a PDF."""
    return base64.b64decode(browser.ask("Page.printToPDF", printBackground=True)["data"])


def silent(browser: Browser, *asked: str) -> None:
    """The page logged nothing, and asked for these addresses and no others."""
    assert browser.complaints() == []
    assert browser.requests() == list(asked)


def wide(browser: Browser) -> bool:
    """Whether any part of the page is wider than its window."""
    return not browser.value("document.documentElement.scrollWidth <= innerWidth")


def press(browser: Browser, key: str, **more: int) -> None:
    """One key, down and up."""
    codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
    told = {"key": key, "windowsVirtualKeyCode": codes.get(key, 0), **more}
    text = {"Enter": "\r", " ": " "}.get(key, "")
    browser.ask("Input.dispatchKeyEvent", type="keyDown", **told, **({"text": text} if text else {}))
    browser.ask("Input.dispatchKeyEvent", type="keyUp", **told)
