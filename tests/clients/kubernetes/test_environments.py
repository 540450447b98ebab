"""The cluster of an environment: the right one, or none."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from chaos_runner import configure, load
from chaos_runner.api import Env, Refused
from chaos_runner.clients.kubernetes import environments, refusals
from chaos_runner.configure import Configuration
from chaos_runner.environment import Cluster, Environment
from tests.clients.kubernetes.server import UID, namespace, serving, status

pytestmark = pytest.mark.anyio
KUBECONFIG = """\
clusters: [{{name: c, cluster: {{server: "{url}"}}}}]
users: [{{name: u, user: {{token: sesame}}}}]
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
current-context: c
"""


def env(folder: Path, url: str, uid: str = UID) -> Env:
    (folder / "config").write_text(KUBECONFIG.format(url=url))
    return Env("stg", Environment(cluster=Cluster(kubeconfig=f"file:{folder}/config", uid=uid)))


async def test_the_cluster_with_the_environment_s_uid_is_opened_once(tmp_path: Path) -> None:
    with serving(namespace()) as api:
        here = env(tmp_path, api.url)
        assert await environments.open_client(here) is await environments.open_client(here)
        await here.aclose()
    assert [asked.path for asked in api.asked] == ["/api/v1/namespaces/kube-system"]
    assert api.asked[0].headers["Authorization"] == "Bearer sesame"


async def test_another_cluster_is_refused_whatever_it_would_answer(tmp_path: Path) -> None:
    with serving(namespace(uid="somebody-elses")) as api:
        here = env(tmp_path, api.url)
        with pytest.raises(refusals.WrongCluster, match=f"its uid is somebody-elses, not {UID}"):
            await environments.open_client(here)
        await here.aclose()


async def test_an_environment_that_names_no_uid_is_told_which_one_it_sees(tmp_path: Path) -> None:
    with serving(namespace()) as api:
        here = env(tmp_path, api.url, uid="")
        with pytest.raises(refusals.WrongCluster, match=f"`uid: {UID}`"):
            await environments.open_client(here)
        await here.aclose()


async def test_a_user_who_may_not_tell_the_cluster_is_told_what_to_allow(tmp_path: Path) -> None:
    with serving(status(403, "Forbidden")) as api:
        here = env(tmp_path, api.url)
        with pytest.raises(refusals.Forbidden, match="allow `get` of the namespace kube-system"):
            await environments.open_client(here)
        await here.aclose()


async def test_an_environment_without_a_cluster_says_so() -> None:
    with pytest.raises(Refused, match="has no `cluster:`"):
        await environments.open_client(Env("e", Environment()))


async def test_a_pocket_cluster_that_does_not_run_is_a_sentence_with_its_command() -> None:
    with pytest.raises(Refused, match="chaos-runner pocket up"):
        await environments.open_client(Env("e", Environment(cluster=Cluster(kubeconfig="pocket"))))


# --- in a pod ----------------------------------------------------------------------------------------------------


def test_in_a_pod_the_account_s_files_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("sesame")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")

    chosen = environments.chosen(Cluster(kubeconfig="in-cluster"), tmp_path)

    assert chosen.server.server == "https://[fd00::1]:6443"
    assert chosen.server.certificate_authority == str(tmp_path / "ca.crt")
    assert chosen.user.token_file == str(tmp_path / "token")


def test_outside_of_a_pod_there_is_no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(Refused, match="in-cluster"):
        environments.in_cluster(tmp_path)


# --- the file ----------------------------------------------------------------------------------------------------


def config(folder: Path, cluster: str) -> Configuration:
    path = folder / "chaos-runner.yaml"
    path.write_text(f"kind: config/v1\nenvironments:\n  stg: {{cluster: {cluster}}}\n")
    return configure.read(path)


def test_paths_are_absolute_and_a_kubeconfig_is_no_secret_that_is_read_early(tmp_path: Path) -> None:
    there = config(tmp_path, "{kubeconfig: 'file:kube/config', context: stg, uid: 1f0c, exec_plugins: [aws]}")
    connections = configure.connect(there, "stg", tmp_path)

    expected = Cluster(kubeconfig=f"file:{tmp_path}/kube/config", context="stg", uid="1f0c", exec_plugins=("aws",))
    assert connections.cluster == expected
    assert configure.references(msgspec.to_builtins(connections)) == set()


def test_a_pocket_cluster_is_found_by_what_it_wrote(tmp_path: Path) -> None:
    there = config(tmp_path, "pocket")
    assert configure.connect(there, "stg", tmp_path).cluster == Cluster(kubeconfig="pocket")

    written = {"kubeconfig": "/k", "context": "pocket", "uid": UID, "pid": 1, "start_time": 2}
    (tmp_path / "pocket.json").write_bytes(msgspec.json.encode(written))
    found = configure.connect(there, "stg", tmp_path).cluster
    assert found == Cluster(kubeconfig="file:/k", context="pocket", uid=UID)


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        ("pocked", "neither `pocket` nor a mapping"),
        ("{kubeconfig: ~/.kube/config}", "kubeconfig"),
        ("{context: stg}", "kubeconfig"),
        ("{kubeconfig: in-cluster, uid: 'a b'}", "uid"),
        ("{kubeconfig: in-cluster, contxt: stg}", "did you mean 'context'"),
    ],
)
def test_a_mistake_has_a_place_and_a_sentence(tmp_path: Path, cluster: str, words: str) -> None:
    with pytest.raises(load.Invalid, match=words) as caught:
        config(tmp_path, cluster)
    assert "chaos-runner.yaml:3:" in str(caught.value)
