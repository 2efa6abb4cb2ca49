"""A question of a lesson: each choice gets its own reply, and a page without a kernel still holds the answer."""

import doctest

import pytest

from course_lib.classroom import quiz


@pytest.fixture
def question():
    return quiz.Question("Why < 2/L?", {"noise": "No.", "curvature": "The steepest direction decides."}, right="curvature")


def test_each_choice_gets_its_own_reply(question):
    question.buttons["noise"].click()
    assert question.reply == "Not this one. No."
    assert "✗" in question._status.value
    question.buttons["curvature"].click()
    assert question.reply.startswith("Right. The steepest")
    assert "✓" in question._status.value


def test_a_page_without_a_kernel_holds_the_choices_and_the_answer(question):
    bundle = question._repr_mimebundle_()
    assert "&lt; 2/L" in bundle["text/html"] and "<details>" in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == "Why < 2/L? Choices: noise | curvature"


def test_the_right_answer_must_be_among_the_choices():
    with pytest.raises(ValueError, match="right must be one of the choices"):
        quiz.Question("?", {"a": "", "b": ""}, right="c")


def test_the_example_in_the_docstring():
    assert doctest.testmod(quiz).failed == 0
