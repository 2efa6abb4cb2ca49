"""A question inside a lesson that answers at once: one button for each choice, and a reply to each."""

import html

import ipywidgets


# ipywidgets cuts the text of a button that is longer than the page is wide.
_WRAP = "<style>.course-choice { white-space: normal; text-align: left; line-height: 1.4; padding: 5px 10px; flex-shrink: 0 }</style>"


class Question(ipywidgets.VBox):
    """A multiple-choice question; show it as the last expression of a cell.

    `replies` is {choice: what to say to whoever picks it}, `right` the choice that is right. Text only, no markup.
    Where no kernel runs, the choices and the answer stand in a box that opens on a click.
    Raises ValueError if `right` is not one of the choices.

    >>> q = Question("What is 2 + 2?", {"4": "Two and two.", "22": "That joins the digits."}, right="4")
    >>> q
    What is 2 + 2? Choices: 4 | 22
    >>> q.buttons["22"].click(); q.answered, q.reply
    ('22', 'Not this one. That joins the digits.')
    """

    def __init__(self, question, replies, right):
        if right not in replies:
            raise ValueError(f"right must be one of the choices {list(replies)}; got {right!r}.")
        self.question, self.replies, self.right = question, replies, right
        self.answered, self.reply = None, ""
        layout = {"width": "auto", "height": "auto", "max_width": "100%", "align_self": "flex-start"}
        self.buttons = {choice: ipywidgets.Button(description=choice, layout=layout) for choice in replies}
        for button in self.buttons.values():
            button.add_class("course-choice")
            button.on_click(self._answer)
        self._status = ipywidgets.HTML()
        super().__init__([ipywidgets.HTML(f"{_WRAP}<b>{html.escape(question)}</b>"), *self.buttons.values(), self._status])

    def _answer(self, button):
        self.answered = button.description
        is_right = self.answered == self.right
        self.reply = f"{'Right.' if is_right else 'Not this one.'} {self.replies[self.answered]}"
        self._status.value = f'<div role="status" aria-live="polite">{"✓" if is_right else "✗"} {html.escape(self.reply)}</div>'

    def __repr__(self):
        return f"{self.question} Choices: {' | '.join(self.replies)}"

    def _repr_mimebundle_(self, include=None, exclude=None):
        choices = "".join(f"<li>{html.escape(choice)}</li>" for choice in self.replies)
        answer = f"{html.escape(self.right)}. {html.escape(self.replies[self.right])}"
        still = f"<b>{html.escape(self.question)}</b><ul>{choices}</ul><details><summary>Answer</summary>{answer}</details>"
        return super()._repr_mimebundle_() | {"text/plain": repr(self), "text/html": still}
