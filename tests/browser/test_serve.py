"""`serve` in a real Chromium: silent, from here alone, readable at both sizes, by keyboard, without scripts."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos_runner import store
from chaos_runner.records import Noted
from tests.browser import ground
from tests.browser.chromium import ANSWER_S, Browser
from tests.cli import kit as runs
from tests.serve import kit
from tests.serve.kit import DAY, GOING, HELD, Served

pytestmark = pytest.mark.real
PAGES = {
    "reports": "/reports/",
    "runs": "/",
    "run": f"/runs/{GOING}",
    "ended": f"/runs/{HELD}",
    "days": "/days",
    "day": f"/days/{DAY}",
}
SHOTS = os.environ.get("SERVE_SHOTS", "")  # a folder for screenshots that people look at
CONFIG = "kind: config/v1\nenvironments: {demo: {}}\n"


@pytest.fixture(scope="module", name="served")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    state = kit.fill(tmp_path_factory.mktemp("pages"))
    words = ["report", "index", "--state", str(state), "--reports", str(state.parent / "reports")]
    subprocess.run([sys.executable, "-m", "chaos_runner", *words], check=True, capture_output=True, timeout=120)
    with kit.serving(state) as served:
        yield served


def _go(browser: Browser, url: str) -> None:
    """Loads an address and waits until it is there."""
    browser.events.clear()
    browser.ask("Page.navigate", url=url)
    _until(browser, lambda: any(one.get("method") == "Page.loadEventFired" for one in browser.events))


def _until(browser: Browser, done: Callable[[], Any], limit_s: float = ANSWER_S) -> None:
    until = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < until, browser.value("document.body.innerText")
        browser.value("1")  # reads what the page said meanwhile
        time.sleep(0.05)


@contextlib.contextmanager
def _inside(browser: Browser, served: Served, role: str) -> Iterator[None]:
    """Come in by a printed address; out again at the end."""
    _go(browser, f"{served.url}/login#code={served.code(role)}")
    _until(browser, lambda: browser.value("location.pathname") in {"/", "/days"})
    try:
        yield
    finally:
        browser.ask("Network.clearBrowserCookies")
        _go(browser, "about:blank")


def _silent(browser: Browser, served: Served) -> None:
    assert browser.complaints() == []
    assert [url for url in browser.requests() if not url.startswith((f"{served.url}/", "data:", "about:"))] == []


def test_the_printed_address_lets_in_once_and_leaves_no_code_behind(browser: Browser, served: Served) -> None:
    code = served.code("viewer")
    address = f"{served.url}/login#code={code}"
    _go(browser, address)
    _until(browser, lambda: browser.value("location.pathname") == "/")
    seen = browser.value("document.cookie + location.href + JSON.stringify(performance.getEntries())")
    _silent(browser, served)
    browser.ask("Network.clearBrowserCookies")
    _go(browser, address)
    _until(browser, lambda: "403" in browser.value("document.body.innerText"))
    browser.ask("Network.clearBrowserCookies")
    _go(browser, "about:blank")

    assert code not in seen


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("size", ground.SIZES, ids=lambda size: str(size[0]))
def test_a_page_is_silent_from_here_alone_and_readable(
    browser: Browser, served: Served, name: str, size: tuple[int, int]
) -> None:
    with _inside(browser, served, "operator"), ground.sized(browser, *size):
        for scheme in ground.SCHEMES:
            ground.paper(browser, "screen", scheme)
            _go(browser, served.url + PAGES[name])
            time.sleep(1.5)  # for a few events
            if SHOTS:
                ground.picture(browser, Path(SHOTS) / f"{name}-{size[0]}-{scheme}.png")
            assert not ground.wide(browser)
            assert browser.value(ground.CONTRAST) == []
            assert browser.value(ground.UNNAMED) == []
            _silent(browser, served)


def test_what_happens_is_on_the_page_without_loading_it_again(browser: Browser, served: Served) -> None:
    with _inside(browser, served, "viewer"):
        _go(browser, f"{served.url}/runs/{GOING}")
        browser.value("window.kept = 1")
        with store.open_store(served.state, allow_tmpfs=True) as ledger:
            ledger.append(GOING, Noted(who="ann", text="<b>seen</b> by event"), time.time(), 42.0)
        _until(browser, lambda: "ann noted: <b>seen</b> by event" in browser.value("document.body.innerText"))
        assert browser.value("window.kept") == 1
        assert browser.value("document.querySelectorAll('#rows b').length") == 0
        _silent(browser, served)


def test_without_scripts_everything_can_be_read_and_said(browser: Browser, served: Served) -> None:
    visit = served.enter("operator", "ann")
    name, _, secret = visit.cookie.partition("=")
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.ask("Network.setCookie", name=name, value=secret, url=served.url, httpOnly=True, sameSite="Strict")
        _go(browser, f"{served.url}/days/{DAY}")
        browser.ask("Runtime.evaluate", expression="0")
        document = browser.ask("DOM.getDocument")["root"]["nodeId"]
        box = browser.ask("DOM.querySelector", nodeId=document, selector="#say-line")["nodeId"]
        browser.ask("DOM.focus", nodeId=box)
        browser.ask("Input.insertText", text="said without scripts")
        ground.press(browser, "Enter")
        _until(browser, lambda: "ann noted: said without scripts" in served.get(visit, f"/days/{DAY}").text)
    finally:
        browser.ask("Emulation.setScriptExecutionDisabled", value=False)
        browser.ask("Network.clearBrowserCookies")


def test_what_a_page_did_not_bring_along_does_not_run(browser: Browser, served: Served) -> None:
    with _inside(browser, served, "viewer"):
        _go(browser, f"{served.url}/")
        browser.value(
            "const s = document.createElement('script'); s.textContent = 'window.owned = 1'; document.body.append(s);"
            "const i = document.createElement('div'); i.innerHTML = '<img src=x onerror=\"window.owned = 2\">';"
            "document.body.append(i)"
        )
        time.sleep(0.5)
        assert browser.value("window.owned === undefined")


def test_a_foreign_page_can_neither_frame_nor_send(browser: Browser, served: Served, tmp_path: Path) -> None:
    with _inside(browser, served, "operator"):
        page = ground.saved(
            tmp_path,
            f'<form id="f" method="post" action="{served.url}/halt"><input name="scope" value="global"></form>'
            f'<iframe src="{served.url}/"></iframe><script>document.getElementById("f").submit()</script>',
        )
        browser.events.clear()
        browser.ask("Page.navigate", url=page.as_uri())
        _until(browser, lambda: "403" in (browser.value("document.body && document.body.innerText") or ""))
    assert not (served.state / "levers" / "global").exists()


@pytest.mark.world
def test_the_halt_button_stops_a_live_run(browser: Browser, tmp_path: Path) -> None:
    """A real run in a process of its own; the button by keyboard; the fault gone; the time on the page."""
    (tmp_path / "chaos-runner.yaml").write_text(CONFIG)
    (tmp_path / "reports").mkdir()
    mark, state = tmp_path / "mark", tmp_path / "state"
    with runs.listener() as port, kit.serving(state) as served:
        (tmp_path / "x.yaml").write_text(runs.EXPERIMENT.format(port=port, file=mark))
        child = runs.runner("run", "x.yaml", "-e", "demo", "--state", state, cwd=tmp_path)
        try:
            with _inside(browser, served, "viewer"):
                _until(browser, mark.exists)
                _go(browser, served.url)
                browser.value("document.querySelector('tbody a').click()")
                _until(browser, lambda: "/runs/" in browser.value("location.pathname"))
                _until(browser, lambda: "injected" in browser.value("document.querySelector('#now').innerText"))
                if SHOTS:
                    ground.picture(browser, Path(SHOTS) / "live.png")
                browser.value("document.querySelector('.halt-button').focus()")
                began = time.monotonic()
                ground.press(browser, "Enter")
                _until(browser, lambda: not mark.exists())
                took = time.monotonic() - began
                _until(browser, lambda: "gone" in browser.value("document.querySelector('.halted').innerText"))
                told = browser.value("document.querySelector('.halted').innerText")
                if SHOTS:
                    ground.picture(browser, Path(SHOTS) / "halted.png")
                _until(browser, lambda: browser.value("document.querySelector('#ended a') !== null"))
                browser.value("document.querySelector('#ended a').click()")
                _until(browser, lambda: browser.value("document.querySelector('iframe.report') !== null"))
                assert "ABORTED" in browser.value("document.querySelector('#now').innerText")
                _silent(browser, served)
            _, err = child.communicate(timeout=60)
        finally:
            if child.poll() is None:
                os.kill(child.pid, signal.SIGTERM)
                child.communicate(timeout=90)
    print(f"\nfrom the key to the fault gone: {took:.2f} s, as seen from outside; the page says: {told}")
    assert child.returncode == 4, err
    assert re.search(r"1 fault gone \d+\.\d\d s after the pull", told), told
