"""Kubeconfig files: merged as kubectl merges them, and nothing of what they hold is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos_runner.api import Refused
from chaos_runner.clients.kubernetes import kubeconfig

STAGING = """\
apiVersion: v1
kind: Config
preferences: {}
clusters:
- name: stg
  cluster: {server: "https://stg:6443", certificate-authority: certs/ca.crt, tls-server-name: api.stg}
users:
- name: me
  user: {client-certificate: me.crt, client-key: /keys/me.key, tokenFile: token, as: robot, as-groups: [a, b]}
contexts:
- name: stg
  context: {cluster: stg, user: me, namespace: shop}
current-context: stg
"""
OTHER = """\
clusters:
- name: stg
  cluster: {server: "https://elsewhere:6443"}
- name: prod
  cluster: {server: "https://prod:6443"}
users:
- name: me
  user: {token: sesame}
contexts:
- name: prod
  context: {cluster: prod, user: me}
current-context: prod
"""


def written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def test_paths_of_a_file_are_relative_to_it(tmp_path: Path) -> None:
    chosen = kubeconfig.read([written(tmp_path, "config", STAGING)])

    assert chosen.context == "stg"
    assert chosen.server.certificate_authority == str(tmp_path / "certs/ca.crt")
    assert (chosen.user.client_certificate, chosen.user.client_key) == (str(tmp_path / "me.crt"), "/keys/me.key")
    assert chosen.user.token_file == str(tmp_path / "token")
    assert (chosen.impersonation.user, chosen.impersonation.groups) == ("robot", ("a", "b"))


def test_of_two_files_the_first_that_names_something_wins_whole(tmp_path: Path) -> None:
    first = written(tmp_path / "a", "config", STAGING)
    second = written(tmp_path / "b", "config", OTHER)

    both = kubeconfig.read([first, second])
    assert (both.context, both.server.server) == ("stg", "https://stg:6443")
    assert both.user.token == ""  # not mixed with the second file's user of that name

    prod = kubeconfig.read([first, second], "prod")
    assert prod.server.server == "https://prod:6443"
    assert prod.user.token_file == str(tmp_path / "a" / "token")
    assert kubeconfig.read([second, first]).context == "prod"


def test_missing_files_are_passed_over_unless_all_are_missing(tmp_path: Path) -> None:
    there = written(tmp_path, "config", STAGING)

    assert kubeconfig.read([tmp_path / "none", there]).context == "stg"
    with pytest.raises(Refused, match=f"there is no kubeconfig at {tmp_path}/none or {tmp_path}/nothing"):
        kubeconfig.read([tmp_path / "none", tmp_path / "nothing"])


def test_a_variable_names_several_files_and_an_unset_one_means_kubectl_s_own() -> None:
    assert kubeconfig.paths("env:KUBECONFIG", {"KUBECONFIG": "/a:/b::/a"}) == (Path("/a"), Path("/b"))
    assert kubeconfig.paths("env:KUBECONFIG", {}) == (Path("~/.kube/config").expanduser(),)
    assert kubeconfig.paths("file:~/x:/y") == (Path("~/x").expanduser(), Path("/y"))


def test_a_reference_is_the_same_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert kubeconfig.absolute("file:kube/config:/b", tmp_path) == f"file:{tmp_path}/kube/config:/b"
    assert kubeconfig.absolute("env:K", tmp_path, {"K": "rel:/b"}) == "file:/rel:/b"


BROKEN = {
    "an unknown context": (STAGING, "stgg", "did you mean 'stg'"),
    "an unknown cluster": (STAGING.replace("cluster: stg,", "cluster: sgt,"), "", "unknown cluster 'sgt'"),
    "an unknown user": (STAGING.replace("user: me,", "user: mee,"), "", "unknown user 'mee'"),
    "no current context": (STAGING.replace("current-context: stg", ""), "", "write `context:`"),
    "no server": (STAGING.replace('server: "https://stg:6443", ', ""), "", "has no `server:`"),
    "a name twice": (STAGING.replace("users:\n", "users:\n- name: me\n  user: {}\n"), "", "user 'me' more than once"),
    "no YAML": ("clusters: [", "", "config:1:"),
    "another shape": ("clusters: 7", "", "Expected `array | null`"),
    "nothing": ("", "", "the file is empty"),
    "a token that is a number": (OTHER.replace("token: sesame", "token: 1234567"), "", "Expected `str`"),
}


@pytest.mark.parametrize(("text", "context", "words"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path, text: str, context: str, words: str) -> None:
    with pytest.raises(Refused, match=words) as caught:
        kubeconfig.read([written(tmp_path, "config", text)], context)
    assert "1234567" not in str(caught.value)


def test_nothing_that_a_kubeconfig_holds_is_shown() -> None:
    plugin = kubeconfig.User.__struct_fields__
    secrets = dict.fromkeys(
        (name for name in plugin if name not in {"exec_", "auth_provider", "as_groups", "as_user_extra"}), "sesame"
    )
    user = kubeconfig.User(**secrets)

    assert "sesame" not in repr(user)
    server = kubeconfig.ServerEntry(proxy_url="http://me:sesame@proxy:3128")
    assert "sesame" not in str(kubeconfig.Chosen("c", server, user))


def test_ways_to_log_in_that_kubernetes_gave_up_are_named() -> None:
    assert "exec" in kubeconfig.User(auth_provider={"name": "gcp"}).problem
    assert "removed" in kubeconfig.User(username="me", password="sesame").problem
    assert "belong together" in kubeconfig.User(client_certificate="me.crt").problem
    assert kubeconfig.User(token="sesame").problem == ""
