"""The worlds that are explored: what there is, and how much may go wrong in each."""

from __future__ import annotations

from tests.explore.world import Kind, Scene

TOXIC = Kind(aspect="toxic")
PLAIN = Kind(aspect="enabled", fences=False)
KILL = Kind(aspect="process", fences=False, reversible=False)
OTHER = Kind(target=1, aspect="toxic")
THEIRS = Kind(run=1, aspect="toxic")
SECOND = Kind(aspect="second")

FULL = (
    Scene("two toxics on one target", (TOXIC, SECOND), deaths=2, late=1, lost=0),
    Scene("toxics on two targets", (TOXIC, OTHER), deaths=1, late=1, lost=0),
    Scene("one toxic, everything goes wrong", (TOXIC,), deaths=2, late=1, lost=1),
    Scene("one fault that cannot be fenced", (PLAIN,), deaths=2, late=1, lost=1),
    Scene("a toxic and one that cannot be fenced", (TOXIC, PLAIN), deaths=2, late=1, lost=0),
    Scene("one that cannot be undone, and a toxic", (KILL, TOXIC), deaths=2, late=1, lost=0),
    Scene("two runners want one place", (TOXIC, THEIRS), deaths=1, late=1, lost=0),
    Scene("a runner that recovery does not see", (TOXIC, SECOND), deaths=1, late=0, lost=0, stranger="unseen"),
    Scene("a runner that recovery takes for dead", (TOXIC, SECOND), deaths=1, late=1, lost=0, stranger="misjudged"),
    Scene("one toxic, two requests are held", (TOXIC,), deaths=1, late=2, lost=0),
    Scene("one toxic is over before the other", (TOXIC, OTHER), deaths=1, late=0, lost=0, early=True),
    Scene("the embedded proxy and its lease", (TOXIC,), deaths=2, late=1, lost=0, lease=True),
)

# The same worlds with less that may go wrong: seconds, for every change.
SMALL = (
    Scene("two toxics on one target", (TOXIC, SECOND), deaths=1, late=1, lost=0),
    Scene("one toxic", (TOXIC,), deaths=2, late=1, lost=0),
    Scene("one toxic, a lost reply", (TOXIC,), deaths=1, late=0, lost=1),
    Scene("one fault that cannot be fenced", (PLAIN,), deaths=1, late=1, lost=0),
    Scene("one that cannot be undone", (KILL,), deaths=1, late=1, lost=1),
    Scene("two runners want one place", (TOXIC, THEIRS), deaths=0, late=1, lost=0),
    Scene("a runner that recovery does not see", (TOXIC,), deaths=1, late=0, lost=0, stranger="unseen"),
    Scene("a runner that recovery takes for dead", (TOXIC,), deaths=0, late=1, lost=0, stranger="misjudged"),
    Scene("the embedded proxy and its lease", (TOXIC,), deaths=2, late=0, lost=0, lease=True),
)
