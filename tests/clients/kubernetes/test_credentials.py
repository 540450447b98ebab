"""Who a request says it is: tokens that are rotated, plugins that the operator allowed, certificates, other users."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from chaos_runner.api import Doubt, Refused
from chaos_runner.clients.kubernetes import lists, refusals
from chaos_runner.clients.kubernetes.objects import Pod
from chaos_runner.clients.kubernetes.users import Plugin, User, Variable
from tests.clients.kubernetes.conftest import Authority
from tests.clients.kubernetes.server import Asked, Said, client, pod, serving, status

pytestmark = pytest.mark.anyio
VERSION = "client.authentication.k8s.io/v1"


async def read(cluster: Any) -> None:
    await lists.get(cluster, Pod, "shop", "web")


def tokens(asked: list[Asked]) -> list[str | None]:
    return [one.headers["Authorization"] for one in asked]


async def test_a_token_in_a_file_is_read_for_every_request(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    with serving(Said(200, pod("web"))) as api:
        async with client(api.url, User(token_file=str(file), token="older")) as cluster:
            await read(cluster)
            file.write_text("two")
            await read(cluster)
        assert tokens(api.asked) == ["Bearer one", "Bearer two"]


async def test_a_token_that_no_header_can_carry_is_not_sent_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame\nsesame")
    with serving(Said(200, pod("web"))) as api:
        async with client(api.url, User(token_file=str(tmp_path / "token"))) as cluster:
            with pytest.raises(Refused) as caught:
                await read(cluster)
        assert not api.asked
        assert "sesame" not in str(caught.value)


async def test_acting_as_somebody_else_is_said_in_headers() -> None:
    user = User(as_="robot", as_uid="7", as_groups=("a", "b"), as_user_extra={"example.com/team": ("x",)})
    with serving(Said(200, pod("web"))) as api:
        async with client(api.url, user) as cluster:
            await read(cluster)
        headers = api.asked[0].headers
        assert (headers["Impersonate-User"], headers["Impersonate-Uid"]) == ("robot", "7")
        assert headers.get_all("Impersonate-Group") == ["a", "b"]
        assert headers["Impersonate-Extra-example.com%2Fteam"] == "x"


# --- plugins -----------------------------------------------------------------------------------------------------


def program(folder: Path, **said: Any) -> tuple[Path, Path]:
    """A plugin that hands out token-1, token-2 ..., and the file in which it counts."""
    counter, path = folder / "count", folder / "login"
    credential = {"kind": "ExecCredential", "apiVersion": VERSION, "status": {"token": "token-N", **said}}
    path.write_text(
        "#!/bin/sh\n"
        f'echo x >> {counter}; echo "$KUBERNETES_EXEC_INFO" > {folder}/info; echo "$FLAVOUR" > {folder}/flavour\n'
        f"n=$(wc -l < {counter})\n"
        f"sed \"s/token-N/token-$n/\" <<'END'\n{json.dumps(credential)}\nEND\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path, counter


def runs(counter: Path) -> int:
    return len(counter.read_text().splitlines()) if counter.exists() else 0


async def test_a_plugin_that_the_operator_did_not_allow_is_never_started(tmp_path: Path) -> None:
    path, counter = program(tmp_path)
    user = User(exec_=Plugin(command=str(path), api_version=VERSION))
    with serving(Said(200, pod("web"))) as api:
        for allowed in ((), ("login",), (str(path) + "x",)):
            async with client(api.url, user, plugins=allowed) as cluster:
                with pytest.raises(Refused, match=r"exec_plugins: \["):
                    await read(cluster)
        assert (runs(counter), len(api.asked)) == (0, 0)


async def test_a_plugin_is_asked_once_while_its_token_is_good(tmp_path: Path) -> None:
    path, counter = program(tmp_path, expirationTimestamp="2999-01-01T00:00:00Z")
    plugin = Plugin(
        command=str(path), api_version=VERSION, env=(Variable("FLAVOUR", "mint"),), provide_cluster_info=True
    )
    with serving(Said(200, pod("web"))) as api:
        async with client(api.url, User(exec_=plugin), plugins=(str(path),)) as cluster:
            await read(cluster)
            await read(cluster)
        assert tokens(api.asked) == ["Bearer token-1"] * 2
        assert json.loads((tmp_path / "info").read_text())["spec"]["cluster"]["server"] == api.url
    assert (tmp_path / "flavour").read_text() == "mint\n"
    assert runs(counter) == 1


async def test_a_plugin_s_token_is_renewed_before_it_ends(tmp_path: Path) -> None:
    path, _ = program(tmp_path, expirationTimestamp="2020-01-01T00:00:00Z")
    with serving(Said(200, pod("web"))) as api:
        user = User(exec_=Plugin(command=str(path), api_version=VERSION))
        async with client(api.url, user, plugins=(str(path),)) as cluster:
            await read(cluster)
        assert tokens(api.asked)[0] != "Bearer token-1"


async def test_a_plugin_is_asked_again_once_when_the_server_does_not_know_its_token(tmp_path: Path) -> None:
    path, counter = program(tmp_path)
    with serving(status(401, "Unauthorized")) as api:
        user = User(exec_=Plugin(command=str(path), api_version=VERSION))
        async with client(api.url, user, plugins=(str(path),)) as cluster:
            with pytest.raises(refusals.Unauthorized):
                await read(cluster)
        assert tokens(api.asked) == ["Bearer token-1", "Bearer token-2"]
    assert runs(counter) == 2


FAULTY = {
    "asks questions": ({}, {"interactive_mode": "Always"}, Refused, "nobody is there to answer"),
    "another version": ({}, {"api_version": "client.authentication.k8s.io/v1alpha1"}, Refused, "v1alpha1"),
    "no token": ({"token": ""}, {}, Refused, "neither a token nor a certificate"),
    "not there": ({}, {"command": "/nonexistent/login"}, Refused, "is not installed: get it"),
}


@pytest.mark.parametrize(("said", "fields", "type_", "words"), FAULTY.values(), ids=FAULTY)
async def test_a_plugin_that_cannot_work_is_a_sentence(
    tmp_path: Path, said: dict[str, Any], fields: dict[str, Any], type_: type[Exception], words: str
) -> None:
    path, _ = program(tmp_path, **said)
    plugin = Plugin(**{"command": str(path), "api_version": VERSION, "install_hint": "get it"} | fields)
    async with client("http://127.0.0.1:9", User(exec_=plugin), plugins=(plugin.command,)) as cluster:
        with pytest.raises(type_, match=words):
            await read(cluster)


async def test_a_plugin_that_fails_is_told_by_its_last_words_and_never_by_its_output(tmp_path: Path) -> None:
    path = tmp_path / "login"
    path.write_text("#!/bin/sh\necho sesame\necho 'please log in' >&2\nexit 3\n")
    path.chmod(0o700)
    user = User(exec_=Plugin(command=str(path), api_version=VERSION))
    async with client("http://127.0.0.1:9", user, plugins=(str(path),)) as cluster:
        with pytest.raises(Doubt, match="ended with 3: please log in") as caught:
            await read(cluster)
    assert "sesame" not in str(caught.value)


async def test_a_plugin_is_found_by_its_name_as_the_operator_wrote_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    user = User(exec_=Plugin(command="login", api_version=VERSION))
    with serving(Said(200, pod("web"))) as api:
        async with client(api.url, user, plugins=("login",)) as cluster:
            await read(cluster)
        assert tokens(api.asked) == ["Bearer token-1"]


# --- TLS ---------------------------------------------------------------------------------------------------------


async def test_only_a_server_of_the_named_authority_is_asked(authority: Authority) -> None:
    with serving(Said(200, pod("web")), authority.server()) as api:
        async with client(api.url, certificate_authority=authority.path("ca.crt")) as cluster:
            await read(cluster)
        async with client(
            api.url, User(token="sesame"), certificate_authority=authority.path("stranger.crt")
        ) as cluster:
            with pytest.raises(refusals.Unreachable, match="certificate verify failed"):
                await read(cluster)
        async with client(api.url, User(token="sesame")) as cluster:
            with pytest.raises(refusals.Unreachable, match="certificate verify failed"):
                await read(cluster)
        async with client(api.url, insecure_skip_tls_verify=True) as cluster:
            await read(cluster)
        assert len(api.asked) == 2


async def test_a_certificate_can_be_for_another_name_that_the_kubeconfig_says(authority: Authority) -> None:
    trust = authority.path("ca.crt")
    with serving(Said(200, pod("web")), authority.server("named")) as api:
        async with client(api.url, certificate_authority=trust) as cluster:
            with pytest.raises(refusals.Unreachable, match="IP address mismatch"):
                await read(cluster)
        async with client(api.url, certificate_authority=trust, tls_server_name="other.test") as cluster:
            with pytest.raises(refusals.Unreachable, match="Hostname mismatch"):
                await read(cluster)
        async with client(api.url, certificate_authority=trust, tls_server_name="cluster.test") as cluster:
            await read(cluster)
        assert len(api.asked) == 1


async def test_a_client_certificate_is_shown(authority: Authority) -> None:
    user = User(client_certificate=authority.path("alice.crt"), client_key=authority.path("alice.key"))
    with serving(Said(200, pod("web")), authority.server(clients=True)) as api:
        async with client(api.url, user, certificate_authority=authority.path("ca.crt")) as cluster:
            await read(cluster)
        certificate = api.asked[0].certificate
        assert certificate is not None
        assert (("commonName", "alice"),) in certificate["subject"]


async def test_a_plugin_s_certificate_takes_the_place_of_the_last_one(authority: Authority, tmp_path: Path) -> None:
    def hand_out(name: str) -> None:
        pair = {
            "clientCertificateData": Path(authority.path(f"{name}.crt")).read_text(),
            "clientKeyData": Path(authority.path(f"{name}.key")).read_text(),
        }
        program(tmp_path, token="", expirationTimestamp="2020-01-01T00:00:00Z", **pair)

    user = User(exec_=Plugin(command=str(tmp_path / "login"), api_version=VERSION))
    with serving(Said(200, pod("web")), authority.server(clients=True)) as api:
        hand_out("alice")
        async with client(
            api.url, user, certificate_authority=authority.path("ca.crt"), plugins=(str(tmp_path / "login"),)
        ) as cluster:
            await read(cluster)
            hand_out("bob")
            await read(cluster)
        subjects = [str(asked.certificate) for asked in api.asked]
        assert "alice" in subjects[0]
        assert "bob" in subjects[1]


BAD = {
    "a missing file": (User(client_certificate="/no.crt", client_key="/no.key"), "cannot be read"),
    "no base64": (User(client_certificate_data="sesame!", client_key_data="x"), "is not base64"),
    "no certificate": (User(client_certificate_data="c2VzYW1l", client_key_data="c2VzYW1l"), "cannot be used"),
    "half a pair": (User(client_certificate_data="c2VzYW1l"), "belong together"),
}


@pytest.mark.parametrize(("user", "words"), BAD.values(), ids=BAD)
async def test_a_certificate_that_cannot_be_used_is_a_sentence(user: User, words: str, authority: Authority) -> None:
    with pytest.raises(Refused, match=words) as caught:
        async with client("https://127.0.0.1:9", user, certificate_authority=authority.path("ca.crt")):
            pass
    assert "sesame" not in str(caught.value)
    assert "c2VzYW1l" not in str(caught.value)
