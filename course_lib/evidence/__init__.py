"""Every claim of the two sources as an experiment with a verdict that is computed, never typed.

    from course_lib import evidence

    evidence.card("A-8.3.1-2")                    # claim, a dot a seed, interval, counter-case, verdict
    evidence.card("A-8.3.1-2").run(seeds=3)       # the same experiment now, on this machine
    f"{evidence.number('A-8.8-3', 'after'):.2f}"  # for a sentence beside the card

`claims.csv` holds all claims in our words, `experiments/` one function for each that can be measured, `results.json`
what `make evidence` measured. How to add a claim stands in `course_lib.evidence.registry`.
"""

from course_lib.evidence.overview import markdown, summary
from course_lib.evidence.registry import Claim, Result, claim, claims, of
from course_lib.evidence.results import measured, number
from course_lib.evidence.table import Row, landed, row, rows
from course_lib.evidence.verdict import Effect, Verdict

__all__ = ["Claim", "Effect", "Result", "Row", "Verdict", "card", "claim", "claims", "landed", "markdown", "measured",
           "number", "of", "row", "rows", "summary"]  # fmt: skip


def card(claim_id):
    """Return the card of a claim: as last expression of a cell it shows itself. See `course_lib.labs.evidence_card`."""
    from course_lib.labs.evidence_card import Card  # a floor above: drawing is loaded when a card is asked for

    return Card.of(claim_id)
