"""Everything that the template of a day shows, in the sixteen sections of its page. No IO but the template."""

from __future__ import annotations

from chaos_runner.render.gameday import answers, before, experiments, figures, people, scope, timeline
from chaos_runner.render.gameday.experiments import Experiment
from chaos_runner.render.gameday.told import Told, Whole
from chaos_runner.render.html import paper
from chaos_runner.render.html.page import STATE_WORDS
from chaos_runner.render.story import GLOSSARY

VERSION = 6  # of the page: it rises with any change of its bytes
BYTES_MAX = 290_000  # with charts; they give way to words


def render(told: Told) -> bytes:
    """The report of one day: words first, then as many charts as there is room for."""
    whole = Whole(told)
    found = experiments.experiments(whole)
    words = len(_printed(whole, experiments.fitted(found, 0)))
    return _printed(whole, experiments.fitted(found, BYTES_MAX - words))


def _printed(whole: Whole, found: list[Experiment]) -> bytes:
    told, every = whole.told, timeline.lines(whole)
    lines, hidden = timeline.shown(every)
    return paper.printed(
        "gameday/day.html.j2",
        more_style="gameday/day.css",
        day=whole.day,
        scenario=whole.day.scenario,
        title=whole.title(),
        version=VERSION,
        word=answers.word(whole),
        incident=scope.incident(whole),
        answers=answers.answers(whole),
        left=[one for seen in whole.runs for one in seen.story.left],
        recover=next((seen.story.recover for seen in whole.runs if seen.story.left), ""),
        lost=sorted(told.lost.items()),
        about=scope.about(whole),
        confidence=people.confidence(whole),
        people=people.roles(whole),
        approvals=people.approvals(whole),
        absent=people.absent(whole),
        objectives=scope.objectives(whole),
        checklist=people.checklist(whole),
        safety=scope.safety(whole),
        experiments=[
            (one, paper.trusted(one.overview), [(figure, paper.trusted(figure.markup)) for figure in one.charts])
            for one in found
        ],
        not_run=scope.not_run(whole),
        state_words=STATE_WORDS,
        lines=lines,
        hidden=hidden,
        count=len(every),
        rows=[figures.row(one) for one in whole.measured.day],
        alerts=figures.alerts(whole),
        guesses=figures.guesses(whole),
        unplaced=whole.measured.unplaced,
        said=people.said(whole),
        impact=scope.impact(whole),
        actions=people.actions(whole),
        compared=before.compared(whole),
        rule=before.RULE,
        coverage=scope.coverage(whole),
        files=scope.files(whole),
        runs=scope.runs(whole),
        digest=whole.digest(),
        facts=len(told.entries),
        glossary=(*GLOSSARY, *scope.WORDS),
        runbooks=sorted(whole.day.scenario.runbooks.items()) if whole.day.scenario else [],
    )
