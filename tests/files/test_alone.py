"""What the file alone shows to be impossible is told with its place; nobody waits for `plan` to learn it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos_runner import files
from chaos_runner.load import Invalid

HEAD = """\
kind: experiment/v1
name: e
hypothesis: it holds
steady_state:
  shop: {probe: http, with: {service: shop, rate: 20/s}, expect: [success >= 99%]}
"""


def told(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    try:
        files.read_any(path)
    except Invalid as invalid:
        return [str(problem).removeprefix(f"{path}:") for problem in invalid.problems]
    return []


def method(tmp_path: Path, radius: str, *lines: str) -> list[str]:
    return told(tmp_path, "\n".join((HEAD.rstrip(), f"blast_radius: {{{radius}}}", "method:", *lines, "")))


def fault(target: str, rest: str = "", stream: str = "downstream") -> str:
    params = f"{{type: latency, latency: 1s, stream: {stream}}}"
    return f"- {{fault: toxic, target: {{{target}}}, with: {params}, for: 10s{rest}}}"


def probe(tmp_path: Path, line: str) -> list[str]:
    text = HEAD.replace("shop: {probe: http, with: {service: shop, rate: 20/s}", f"shop: {{{line}")
    return told(tmp_path, text + "blast_radius: {}\nmethod: []\n")


def test_a_fault_may_stay_as_long_as_allowed(tmp_path: Path) -> None:
    assert method(tmp_path, "max_duration: 10s", fault("proxy: a")) == []


def test_a_fault_that_would_stay_longer_than_allowed_is_told_at_its_time(tmp_path: Path) -> None:
    lines = fault("proxy: a").replace("for: 10s", "for: 2m"), "- parallel:", "  " + fault("proxy: a")

    assert method(tmp_path, "max_duration: 9s", *lines) == [
        "8:99: method[0].for: the fault would stay 2m; blast_radius.max_duration allows 9s",
        "10:101: method[1].parallel[0].for: the fault would stay 10s; blast_radius.max_duration allows 9s",
    ]


def test_the_time_that_nobody_wrote_counts_too(tmp_path: Path) -> None:
    assert method(tmp_path, "max_duration: 29s", fault("proxy: a").replace(", for: 10s", "")) == [
        "8:3: method[0].for: the fault would stay 30s; blast_radius.max_duration allows 29s"
    ]


def test_a_target_named_twice_is_one_target(tmp_path: Path) -> None:
    assert method(tmp_path, "", fault("proxy: a"), fault("proxy: a")) == []


def test_two_faults_on_one_place_at_the_same_time_are_told(tmp_path: Path) -> None:
    apart = "- parallel:", "  " + fault("proxy: a"), "  " + fault("proxy: a", stream="upstream")
    same = "- parallel:", "  " + fault("proxy: a"), "  " + fault("proxy: a")

    assert method(tmp_path, "", *apart) == []
    assert method(tmp_path, "", *same) == [
        "10:5: method[0].parallel[1]: a second fault on the same place of one target, beside parallel[0]"
    ]


def test_a_confirmation_by_what_nobody_measures_is_told(tmp_path: Path) -> None:
    assert method(tmp_path, "", fault("proxy: a", ", confirm: ['shop p50 rises >= 200ms']")) == []
    assert method(tmp_path, "", fault("proxy: a", ", confirm: ['shop latncy rises >= 200ms']")) == [
        "8:114: method[0].confirm[0]: unknown metric of probe 'http' 'latncy'; known: success and pNN"
    ]


ODD = (
    "http://127.0.0.1:1/\\r\\nHost: x",
    "http://127.0.0.1:1/\\t",
    "http://127.0.0.1\\n:1",
    "ftp://x",
    "http://[::1",
    "a",
)


@pytest.mark.parametrize("url", ODD)
def test_a_url_that_is_no_address_is_told_at_its_place(tmp_path: Path, url: str) -> None:
    (http,) = probe(tmp_path, f'probe: http, with: {{url: "{url}", rate: 20/s}}')
    (tcp,) = probe(tmp_path, f'probe: tcp, with: {{address: "{url}", rate: 20/s}}')

    assert http.startswith("5:35: steady_state.shop.with.url: ")
    assert tcp.startswith("5:38: steady_state.shop.with.address: ")


def test_an_address_where_machines_keep_their_credentials_is_told(tmp_path: Path) -> None:
    assert probe(tmp_path, 'probe: http, with: {url: "http://169.254.169.254/latest", rate: 20/s}') == [
        "5:35: steady_state.shop.with.url: 169.254.169.254 is a link-local or metadata address: probes do not go there"
    ]


def test_a_program_that_nobody_can_allow_is_told(tmp_path: Path) -> None:
    (problem,) = probe(tmp_path, "probe: command, with: {argv: [ls]}")

    assert problem.startswith("5:40: steady_state.shop.with.argv[0]: 'ls' is not an absolute path")


def test_the_fault_asks_the_same_of_its_three_programs(tmp_path: Path) -> None:
    line = "- {fault: command, target: {name: x}, with: {do: [ls], undo: [/bin/ls], verify: [ls]}}"

    assert [one.split(": ")[1] for one in method(tmp_path, "", line)] == [
        "method[0].with.do[0]",
        "method[0].with.verify[0]",
    ]


CONFIG = "kind: config/v1\nenvironments:\n  here: {toxiproxy: {url: 'http://127.0.0.1:1'}, services: {shop: 'http://127.0.0.1:2'}}\n"


@pytest.mark.parametrize(
    ("old", "where"), [("'http://127.0.0.1:1'", "toxiproxy.url"), ("'http://127.0.0.1:2'", "services.shop")]
)
@pytest.mark.parametrize("odd", ['"http://127.0.0.1:2\\r\\nX: y"', '"http://127.0.0.1:2\\t"', '"http://a b:1"'])
def test_an_address_of_the_operator_is_one_word(tmp_path: Path, old: str, where: str, odd: str) -> None:
    assert told(tmp_path, CONFIG) == []
    (problem,) = told(tmp_path, CONFIG.replace(old, odd))

    assert problem.startswith("3:") and f" environments.here.{where}: " in problem
