"""The table of claims is complete, the table of results says what its numbers say, and no verdict has turned."""

import re
from pathlib import Path

import numpy as np
import pytest

from course_lib import evidence
from course_lib.course_map import CHAPTERS
from course_lib.evidence import results, runner, table

CHAPTER_FOLDER = Path(__file__).resolve().parent.parent / "chapters"
CLAIMS = evidence.claims()
MEASURED = {claim_id for one in CLAIMS for claim_id in one.ids}
LESSONS = {path.parent.name[:2]: path.read_text("utf-8") for path in CHAPTER_FOLDER.glob("*/lesson.md")}


def test_every_row_is_whole():
    rows = evidence.rows()
    assert len(rows) == 130 and len({row.id for row in rows}) == 130
    for row in rows:
        assert row.wording and row.id.startswith(row.section[0]), row
        assert row.chapter in {chapter.number for chapter in CHAPTERS}, row
        assert row.status in (table.MEASURED, table.REASON, table.OPEN), row
        assert bool(row.reason) == (row.status == table.REASON), f"{row.id}: a reason, and only there"


def missing(rows):
    """The ids of rows that have neither an experiment nor a written reason."""
    return [row.id for row in rows if row.id not in MEASURED and row.status != table.REASON]


def test_every_claim_of_a_landed_chapter_has_an_experiment_or_a_reason():
    landed = evidence.landed(CHAPTER_FOLDER)
    assert {row.chapter for row in landed} >= {"01", "02", "03", "04"}
    assert missing(landed) == []


def test_a_chapter_that_lands_without_its_claims_is_found(tmp_path):
    lesson = tmp_path / "05_overfitting" / "lesson.md"
    lesson.parent.mkdir()
    lesson.touch()
    open_rows = [row.id for row in evidence.rows() if row.chapter == "05" and row.status == table.OPEN]
    assert missing(evidence.landed(tmp_path)) == [claim_id for claim_id in open_rows if claim_id not in MEASURED]


def not_shown(rows, lesson):
    """The ids of rows that a lesson passes over: a measured claim has its card there, another is named with the reason."""
    cards = re.findall(r"evidence\.card\([\"']([\w.-]+)[\"']\)", lesson)
    shown = {claim_id for one in cards for claim_id in evidence.of(one).ids}
    named = set(re.findall(r"[AB]-[\w.]+(?:-\d+)?", lesson))
    return [row.id for row in rows if row.id not in (shown if row.id in MEASURED else named)]


@pytest.mark.parametrize("chapter", sorted(LESSONS))
def test_every_claim_of_a_chapter_stands_in_its_lesson(chapter):
    assert not_shown([row for row in evidence.landed(CHAPTER_FOLDER) if row.chapter == chapter], LESSONS[chapter]) == []


def test_a_claim_without_its_card_is_found():
    rows = [evidence.row(claim_id) for claim_id in ("A-8.3.2-1", "A-8.8-3", "A-8.3.2-3", "A-8.2-7")]
    lesson = 'about A-8.8-3 and (A-8.3.2-3, -4)\n```python\nevidence.card("A-8.2-3")\n```\n'  # A-8.2-3 is A-8.3.2-1 again
    assert not_shown(rows, lesson) == ["A-8.8-3", "A-8.2-7"]


def test_status_and_experiments_agree():
    assert {row.id for row in evidence.rows() if row.status == table.MEASURED} == MEASURED


def test_every_claim_has_a_counter_case():
    runner.check(CLAIMS)


def test_results_hold_every_claim_and_say_what_their_numbers_say():
    """The verdicts in the table are those of its seeds: nobody has typed one."""
    held = results.read()["claims"]
    assert list(held) == [one.id for one in CLAIMS], "run `make evidence`"
    found = {one.id: evidence.measured(one.id) for one in CLAIMS}
    again = results.judged(CLAIMS, {i: one.seeds for i, one in found.items()}, {i: one.seconds for i, one in found.items()})
    for claim_id, one in found.items():
        assert one.verdict == again[claim_id].verdict, claim_id
        for effect, recomputed in zip(one.effects, again[claim_id].effects):
            assert effect.outcome == recomputed.outcome and effect.n == recomputed.n
            numbers = "before", "after", "effect", "low", "high", "surely_low", "surely_high"
            for name in numbers:
                assert getattr(effect, name) == pytest.approx(getattr(recomputed, name), rel=1e-4, abs=1e-12), (claim_id, name)


@pytest.mark.parametrize("one", CLAIMS, ids=lambda one: one.id)
def test_fresh_seeds_point_the_same_way(one):
    """Two seeds that are not in the table: a verdict that turns, by new code or a new library, shows here."""
    seeds = runner.measure(one, [1001, 1002])
    for case, effect, fresh in zip(one.cases, evidence.measured(one.id).effects, seeds):
        fresh = np.log(fresh) if one.scale == "ratio" else fresh
        change = float(np.mean(fresh[:, 1] - fresh[:, 0]))
        known = np.log(effect.effect) if one.scale == "ratio" else effect.effect
        if effect.outcome == "no effect" or (effect.outcome, one.expects) == ("holds", "same"):
            assert abs(change) <= one.margin, (case.name, change)
        elif effect.outcome != "seed noise":
            assert np.sign(change) == np.sign(known) and abs(change) > one.margin, (case.name, change)


# What the lessons say in words, case by case: where one of these turns, the paragraph beside its card must be read again.
H, X, N, S, D = "holds", "harms", "no effect", "seed noise", "differs"
SAID = {
    "A-8.1-1": [H, X], "A-8.2-1": [H, S],
    "A-8.2-4": [H, D], "A-8.2-5": [H, X], "A-8.2-6": [H, H, N], "A-8.3.1-2": [H, D, D, D], "A-8.3.1-5": [H, D],
    "A-8.3.3.2-1": [H, D], "A-8.3.3.2-2": [D, H], "A-8.8-2": [H, X], "B-App-4": [D, H],
    "A-8.2-2": [H, D], "A-8.2-3": [N, H], "A-8.3.2-2": [D, H], "A-8.3.2-4": [D, H], "A-8.3.2-5": [H, D, D, D],
    "A-8.5-1": [N, H], "A-8.8-3": [H, X], "A-8.8-4": [H, N],
    "A-8.4-1": [S, H], "A-8.4-5": [S, H], "A-8.4-6": [H, D], "A-8.4-7": [H, D], "A-8.4-8": [D, H], "A-8.4-9": [D, H],
    "A-8.4-11": [D, H], "A-8.4-14": [D, H],
}  # fmt: skip


@pytest.mark.parametrize("claim_id", SAID)
def test_verdicts_that_the_lessons_rest_on(claim_id):
    assert [effect.outcome for effect in evidence.measured(claim_id).effects] == SAID[claim_id]


def test_numbers_for_a_sentence():
    assert evidence.number("A-8.2-3", "effect") == 0.0
    assert evidence.number("A-8.3.2-1", "after", case=1) < evidence.number("A-8.3.2-1", "before", case=1)
    with pytest.raises(ValueError, match="what must be one of"):
        evidence.number("A-8.2-3", "middle")
    with pytest.raises(KeyError, match="has no experiment: vague"):
        evidence.number("A-8.2-7")
    with pytest.raises(KeyError, match="no claim 'A-9'"):
        evidence.number("A-9")


def test_a_table_without_the_claim_says_what_to_do(tmp_path):
    with pytest.raises(KeyError, match="make evidence"):
        evidence.measured("A-8.2-3", tmp_path / "none.json")


def test_overview_shows_every_claim_of_the_landed_chapters():
    landed = evidence.landed(CHAPTER_FOLDER)
    lines = evidence.markdown(landed, link_to="chapters/").splitlines()
    assert len(lines) == len(landed) + 2 and len({line.count(" | ") for line in lines}) == 1
    line = next(line for line in lines if line.startswith("| A-8.2-3 |"))
    assert "holds when the depth of the tree is chosen by it" in line and "(chapters/03_cross_validation/lesson.ipynb)" in line
    assert "not measured: vague" in next(line for line in lines if line.startswith("| A-8.2-7 |"))


def test_summary_counts_every_claim_once():
    said = evidence.summary()
    by_outcome = {words: int(number) for number, words in re.findall(r"(\d+) (claims|hold|fail|have no|do harm|cannot be told)", said)}
    assert by_outcome.pop("claims") == 130
    measured = int(re.search(r"(\d+) are measured", said)[1])
    assert sum(by_outcome.values()) == measured == sum(row.status == table.MEASURED for row in evidence.rows())
