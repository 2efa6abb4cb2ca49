"""An experiment is run again when its code, its data or its libraries change, and not when words change."""

import importlib.util

import pytest

from course_lib.evidence import fingerprint
from course_lib.evidence.experiments import cross_validation, gradient_descent, listing

FILE = '''"""Experiments."""
import numpy as np
from course_lib.descent import descend

WEIGHT = 2.0
OTHER = 3.0


@claim("A", when="large")
def first(seed):
    """What it does."""
    return helper(seed) * WEIGHT  # a comment


def helper(seed):
    return deeper(seed) + 1


def deeper(seed):
    return np.sqrt(seed)


def second(seed):
    return OTHER
'''


def keys(folder, text):
    file = folder / "some_experiments.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location("some_experiments", file)
    module = importlib.util.module_from_spec(spec)
    module.claim = lambda *ids, **options: lambda experiment: experiment
    spec.loader.exec_module(module)
    return fingerprint.key(module.first), fingerprint.key(module.second)


@pytest.mark.parametrize(("old", "new", "changes"), [
    ("* WEIGHT", "/ WEIGHT", [True, False]),
    ("WEIGHT = 2.0", "WEIGHT = 2.5", [True, False]),
    ("OTHER = 3.0", "OTHER = 3.5", [False, True]),
    ("np.sqrt", "np.cbrt", [True, False]),
    ("a comment", "a better comment", [False, False]),
    ("What it does.", "What it does, well said.", [False, False]),
    ('when="large"', 'when="it is large"', [False, False]),
    ("import numpy as np", "import math\nimport numpy as np", [False, False]),
])  # fmt: skip
def test_key_follows_what_the_experiment_uses(tmp_path, old, new, changes):
    before, after = keys(tmp_path, FILE), keys(tmp_path, FILE.replace(old, new))
    assert [b != a for b, a in zip(before, after)] == changes


def test_a_new_version_of_a_library_changes_only_what_uses_it(monkeypatch):
    uses, does_not = cross_validation.used_to_choose, gradient_descent.stuck_in_a_valley
    before = fingerprint.key(uses), fingerprint.key(does_not)
    real = fingerprint.installed
    monkeypatch.setattr(fingerprint, "installed", lambda name: "99" if name == "torch" else real(name))
    assert (fingerprint.key(uses), fingerprint.key(does_not)) == before
    monkeypatch.setattr(fingerprint, "installed", lambda name: "99" if name == "numpy" else real(name))
    assert fingerprint.key(uses) != before[0] and fingerprint.key(does_not) != before[1]


def test_library_files_behind_an_experiment_count_and_the_engine_does_not():
    parts = fingerprint.used_in_file(fingerprint.Path(cross_validation.__file__), "penalty_for_few_rows")
    names = {file.name for file in fingerprint.files_behind(parts)}
    assert {"ridge.py", "_moments.py", "generators.py", "_inputs.py"} <= names
    assert not {"verdict.py", "registry.py", "course_map.py", "closed_form.py"} & names


def test_a_changed_library_file_and_changed_data_change_the_key(monkeypatch, tmp_path):
    before = fingerprint.key(listing.noise_dropped)
    real = fingerprint.code_of
    monkeypatch.setattr(fingerprint, "code_of", lambda file: real(file) + ("x" if file.name == "tables.py" else ""))
    assert fingerprint.key(listing.noise_dropped) != before
    monkeypatch.setattr(fingerprint, "code_of", real)
    assert fingerprint.key(listing.noise_dropped) == before
    other = tmp_path / "datasets" / "files"
    other.mkdir(parents=True)
    for file in fingerprint.DATA.glob("*.csv*"):
        (other / file.name).write_bytes(file.read_bytes())
    assert fingerprint.data_of(other) == fingerprint.data_of(fingerprint.DATA)
    with (other / "boston_housing.csv").open("a") as table:
        table.write("1\n")
    monkeypatch.setattr(fingerprint, "data_of", lambda folder, real=fingerprint.data_of: real(other))
    assert fingerprint.key(listing.noise_dropped) != before


def test_experiments_inside_functions_have_no_key():
    def inner(seed):
        return seed

    with pytest.raises(ValueError, match="top level"):
        fingerprint.key(inner)
