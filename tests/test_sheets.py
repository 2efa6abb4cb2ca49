"""Every exercise sheet: the solution passes, what a learner begins with does not, and no typical mistake passes."""

import ast
from pathlib import Path

import pytest

from course_lib.classroom import checks, sheet
from course_lib.classroom.student import Student

ROOT = Path(__file__).resolve().parents[1]
SHEETS = {path.parent.name: path for path in sorted(ROOT.glob("solutions/*/exercises.md"))}


def report(the_sheet, exercise, answer, seed):
    """What `check` says, from the checks up to the first that does not pass."""
    namespace, registry = the_sheet.load(exercise, answer)
    found = checks.Report(exercise, [], seed=seed)
    for name, registered in registry.items():
        found.outcomes += checks.run({name: registered}, Student(namespace), seed)
        if not found.passed:
            break
    return found


def readable_sheets():
    """The sheets that can be read; one that cannot fails in `test_sheet_is_readable`, not at collection."""
    for path in SHEETS.values():
        try:
            yield sheet.Sheet(path)
        except Exception:
            continue


CHECKED = [(s, e) for s in readable_sheets() for e in s.exercises.values() if not e.is_free]
each_exercise = pytest.mark.parametrize("the_sheet, exercise", [pytest.param(s, e, id=e.id) for s, e in CHECKED])
each_wrong_answer = pytest.mark.parametrize(
    "the_sheet, exercise, name", [pytest.param(s, e, name, id=f"{e.id} {name}") for s, e in CHECKED for name in e.wrong]
)


@pytest.mark.parametrize("chapter", SHEETS)
def test_sheet_is_readable(chapter):
    exercises = sheet.Sheet(SHEETS[chapter]).exercises
    assert all(key.startswith(chapter[:2] + ".") for key in exercises), "ids begin with the chapter's number"
    assert any(exercise.is_free for exercise in exercises.values()), "one question is answered in words"
    assert 3 <= len(exercises) <= 6


@each_exercise
def test_solution_passes_for_many_seeds(the_sheet, exercise):
    namespace, registry = the_sheet.load(exercise.id)
    for seed in range(20):
        found = checks.Report(exercise.id, checks.run(registry, Student(namespace), seed), seed=seed)
        assert found.passed, f"\n{found}"


@each_exercise
def test_what_a_learner_begins_with_does_not_pass(the_sheet, exercise):
    found = report(the_sheet, exercise.id, "stub", seed=0)
    assert not found.passed
    if not exercise.code["starter"]:
        assert found.status == "not written", f"\n{found}"


@each_exercise
def test_six_typical_mistakes_are_there(the_sheet, exercise):
    assert len(exercise.wrong) >= 6


@each_wrong_answer
def test_wrong_answer_is_rejected_with_a_useful_message(the_sheet, exercise, name):
    for seed in range(3):
        found = report(the_sheet, exercise.id, name, seed)
        assert not found.passed, f"passes with seed {seed}"
        first = next(outcome for outcome in found.outcomes if outcome.status != "passed")
        assert first.status in ("failed", "error"), f"\n{found}"
        assert "there is no function" not in first.got, f"the wrong answer misses a function: {first.got}"
        assert first.tried and first.got and (first.hint or first.status == "error"), f"\n{found}"
        lines = repr(found).splitlines()
        assert len(lines) <= 8 and max(map(len, lines)) <= 220, f"\n{found}"


@each_exercise
def test_a_check_defines_no_name_of_an_answer(the_sheet, exercise):
    """In a notebook both share one namespace: a helper of that name would replace the learner's function."""
    answers = defined(cell for _, other in CHECKED if other.id[:2] == exercise.id[:2] for cell in other.code["answer"])
    assert not answers & defined([*exercise.code["check"], *exercise.code["hidden"]])


def defined(sources):
    """Names that are functions, classes or variables at the top of `sources`."""
    names = set()
    for node in (node for source in sources for node in ast.parse(source).body):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names
