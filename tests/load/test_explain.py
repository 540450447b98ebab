"""What `explain` says about kinds and about parts of a file."""

from __future__ import annotations

import pytest

from chaos_runner.config import Config
from chaos_runner.load.explain import explain
from chaos_runner.model import Experiment
from tests.load.kit import KINDS, PARSERS

TYPES = {"experiment": Experiment, "config": Config}


def told(name: str) -> str:
    return explain(name, types=TYPES, kinds=KINDS, parsed=PARSERS)


def test_a_kind_shows_its_fields_units_defaults_and_targets():
    assert told("toxic") == (
        "fault toxic: Harms the traffic of a proxy.\n"
        "  type     one of latency or timeout, required. the toxic\n"
        "  latency  a duration such as 30s, 400ms or 2m, default 0s. how late\n"
        "  jitter   a duration such as 30s, 400ms or 2m, default 0s\n"
        "  stream   one of downstream or upstream, default downstream\n"
        "\n"
        "target:\n"
        "  proxy  text, required"
    )


def test_a_path_leads_through_lists_mappings_and_unions():
    assert "slo " in told("experiment.abort.error_budget")
    assert "runs_at_once" in told("config.environments.ceilings")
    assert [
        line.split(":")[0] for line in told("experiment.method").splitlines() if not line.startswith(" ") and line
    ] == ["experiment.method"] * 3


def test_a_key_without_fields_shows_the_mapping_it_is_in():
    assert "baseline  " in told("experiment.baseline")
    assert told("experiment.abort.violated_for").startswith("experiment.abort: When to stop early.")


def test_defaults_are_written_as_an_author_would():
    assert "max_duration         a duration such as 30s, 400ms or 2m, default 5m" in told(
        "config.environments.ceilings"
    )
    assert "less than 100%" in told("experiment.abort.error_budget")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("toxc", "unknown name 'toxc'; did you mean 'toxic'?"),
        ("experment", "unknown name 'experment'; did you mean 'experiment'?"),
        ("experiment.abrt", "unknown key of experiment 'abrt'; did you mean 'abort'?"),
        (
            "experiment.abort.slo.x",
            "unknown key of experiment.abort 'slo'; known: violated_for, per_check and error_budget",
        ),
    ],
)
def test_an_unknown_name_is_a_sentence(name, sentence):
    with pytest.raises(LookupError) as caught:
        told(name)

    assert str(caught.value) == sentence


def test_every_part_of_every_file_can_be_explained():
    for name in ("experiment", "config", "http", "pod_kill", "kubernetes", "experiment.steady_state", "config.notify"):
        assert told(name).count("\n") >= 1
