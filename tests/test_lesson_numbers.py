"""Results in the prose of a lesson are computed, not typed: numbers that look measured are found here by their form.

Where one is found, let code say it: `Markdown(f"… {evidence.number('A-8.8-3', 'after'):.1f} …")`. A setting (a rate, the
position of a slider) stands in backticks, a formula in dollars, the words of a source in quotes. Whole numbers pass:
5 folds and 442 patients are no results, and by their form nothing tells them from one.
"""

import ast
import re
from pathlib import Path

import pytest

LESSONS = sorted((Path(__file__).resolve().parents[1] / "chapters").glob("*/lesson.md"))

NOT_PROSE = (
    r"(?s)\A---\n.*?\n---\n",  # front matter
    r"(?ms)^```.*?^```",  # code
    r"(?m)^#.*$",  # headings: they carry the numbers of sections
    r"(?s)<!--.*?-->",
    r"(?s)\$\$.+?\$\$|\$[^$\n]+\$",  # formulas
    r"`[^`\n]+`",  # settings
    r"\]\([^)\n]*\)",  # the address of a link
    r'"[^"\n]*"|“[^”\n]*”',  # words of a source
)
ALLOWED = (
    r"\b[AB]-[\w.]+(?:-\d+)?",  # claims: A-8.3.1-2
    r"(?<![\d.])\d+(?:\.\d+){2,}",  # sections, and versions of three parts
    r"(?<![\d.,])8\.[1-8](?![\d%]|\s%|\.\d)",  # the sources' sections 8.1 to 8.8
    r"(?:[Vv]ersion|scikit-learn|NumPy|PyTorch|Python|CUDA) \d+\.\d+",
    r"\b0\d\.\d+\b|\bexercise \d\d\.\d\b",  # exercises: 01.3
    r"\barXiv:\d+\.\d+",
    r"\b95\s?%",  # the level of every interval of the course
)
NUMBER = r"[-−+]?\d[\d,]*(?:\.\d+)?"
WORD = r"\b(?:two|three|four|five|six|seven|eight|nine|ten|twenty|fifty|hundreds?|thousands?|millions?|tens|dozens)"
RESULTS = {
    "decimal": r"(?<![\w.])\d[\d,]*\.\d+",
    "power of ten": r"(?<![\w.])\d+e[-−+]?\d+",
    "percentage": rf"(?:{NUMBER}|{WORD})\s?(?:%|per\s?cent\b)",
    "factor": rf"(?:{NUMBER}|{WORD})(?:\s+of)?\s+times\s+(?:as|the|too|more|less|below|above|\w+er)\b",
    "margin": rf"±\s*{NUMBER}",
    "interval": rf"\[\s*{NUMBER}\s*,\s*{NUMBER}\s*\]",
    "range": rf"\bfrom {NUMBER} to {NUMBER}",
    "count": rf"\bin {NUMBER} of (?:the )?{NUMBER}",
}


def results_in(text):
    """Return [(line, kind, words)] of what looks like a result in the prose of a Markdown text."""
    for pattern in (*NOT_PROSE, *ALLOWED):
        text = re.sub(pattern, lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    found = [(match.start(), kind, match[0]) for kind, pattern in RESULTS.items() for match in re.finditer(pattern, text)]
    return [(text.count("\n", 0, at) + 1, kind, " ".join(words.split())) for at, kind, words in sorted(found)]


def typed_in_code(text):
    """Return what is typed inside `Markdown("…")` in the code cells of a lesson; … stands for what is computed."""
    cells = re.findall(r"(?ms)^```python.*?$(.*?)^```", text)
    calls = [node for cell in cells for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Call)]
    return [_typed(call.args[0]) for call in calls if getattr(call.func, "id", "") == "Markdown" and call.args]


def _typed(node):
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.parent.name)
def test_no_result_is_typed_by_hand(path):
    text = path.read_text("utf-8")
    found = [f"line {line}: {words!r} looks like a {kind}" for line, kind, words in results_in(text)]
    found += [f"Markdown({said[:40]!r}…): {words!r} looks like a {kind}"
              for said in typed_in_code(text) for _, kind, words in results_in(said)]  # fmt: skip
    assert not found, "what to do stands at the top of this file\n" + "\n".join(found)


@pytest.mark.parametrize(("sentence", "kind"), [
    ("The error falls to 0.57 on new rows.", "decimal"), ("RMSE 1,234.5, and no more", "decimal"),
    ("(A-8.3.1-2) holds with 0.47 of the steps", "decimal"), ("Section 8.4 says 8.45.", "decimal"),
    ("A gradient of 6e-8 is lost.", "power of ten"), ("It gains 12 % on new rows.", "percentage"),
    ("It gains five per cent.", "percentage"), ("accuracy 8.4 %", "percentage"), ("95 % of 40%", "percentage"),
    ("The second is 30 times larger.", "factor"), ("a hundred times\nas large", "factor"),
    ("hundreds of times too large", "factor"), ("about ± 3 points", "margin"),
    ("The difference is −3 [−4, −2].", "interval"), ("It rises from 12 to 19.", "range"),
    ("It is better in 19 of the 20 draws.", "count"), ("`0.5` is the truth, 0.88 is said", "decimal"),
])  # fmt: skip
def test_a_typed_result_is_found(sentence, kind):
    assert kind in [kind for _, kind, _ in results_in(sentence)]


@pytest.mark.parametrize("sentence", [
    "Five folds of 442 patients, seed 42, 1,000 steps.", "Set the rate to `0.01`.", "Move *folds* from `2` to `8`.",
    "(A-8.3.1-2, B-8.3.2.1-5)", "Source A 8.3.2, and 8.1 to 8.8", "the listing of 8.4", "removed in version 1.2, in 2022",
    "PyTorch 2.13", "exercise 01.3", "with its 95 % interval", "with its 95% interval", 'The source: "it gains 12.5 %".',
    r"$\alpha = 0.05$ and $$p = 0.3$$", "Draw it 50 times.", "three times in a row", "[the page](https://a.b/1.5)",
    "```python\nx = 0.57\n```", "## 8.3.1 and 0.5", "<!-- 0.5 -->", "arXiv:2010.01412",
])  # fmt: skip
def test_a_setting_or_an_address_passes(sentence):
    assert results_in(sentence) == []


def test_the_line_is_named_and_computed_words_pass():
    assert results_in("one\n\ntwo 0.5\n") == [(3, "decimal", "0.5")]
    cell = '```python tags=["a"]\nx = 1.5\nMarkdown(f"**{x:.1f}** of 2.5" " and 3.5")\n```\n'
    assert typed_in_code(cell) == ["**…** of 2.5 and 3.5"]
    assert results_in(cell) == []
