'''A claim, its experiment and its counter-cases.

To add a claim, write this into a file of `course_lib/evidence/experiments/`, set the row's status in `claims.csv` to
"measured", and run `make evidence`:

    @claim("A-8.8-3", metric="RMSE on new rows", expects="lower", when="5 of 95 features matter", seeds=20)
    def few_features_matter(seed):
        return all_features_and_best_ten(seed, n_relevant=5)


    @few_features_matter.counter("all 95 matter")
    def all_features_matter(seed):
        return all_features_and_best_ten(seed, n_relevant=95)


    def all_features_and_best_ten(seed, n_relevant):
        X, y = make_sparse_linear(1110, 95, n_relevant, noise=2.0, random_state=seed)
        ten = make_pipeline(SelectKBest(f_regression, k=10), LinearRegression())
        return Result(*(rmse(model.fit(X[:110], y[:110]), X[110:], y[110:]) for model in (LinearRegression(), ten)))

An experiment is a plain function of a seed, at the top level of its file. It draws everything from the seed, so the
same seed gives the same numbers, and it returns the metric without and with what the claim recommends.
'''

import functools
import importlib
import math
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from course_lib._inputs import not_negative, one_of, whole
from course_lib.evidence import table


class Result(NamedTuple):
    """The metric of one seed, without (`before`) and with (`after`) what the claim says."""

    before: float
    after: float


class Case(NamedTuple):
    """One setting in which a claim is measured: `when` says which, `experiment` is a function seed -> Result.

    overlap : (n_train, n_test) if the seeds are splits of one table: their rows overlap, and the interval is
    corrected for that (Nadeau and Bengio). None where each seed draws data of its own.
    """

    when: str
    experiment: Callable
    overlap: tuple | None = None

    @property
    def name(self):
        return self.experiment.__name__


@dataclass(frozen=True)
class Claim:
    """A claim as it is measured; `cases[0]` is the claim's own setting, the others are its counter-cases.

    expects: what the claim says of the metric: after is "lower", "higher" or the "same" as before.
    seeds: how many; seed 0, 1, ... are run.
    margin: differences up to this do not matter. "same" needs one, unless the two must be equal to the last bit.
    scale: "difference" of after and before, or their "ratio" (both above 0): then the effect is a factor, and
        margin 0.05 means about 5 %.
    statistic: "mean" with Student's interval; "median" with the bootstrap, where single seeds go very wrong.
    """

    ids: tuple
    metric: str
    expects: str
    seeds: int
    margin: float = 0.0
    scale: str = "difference"
    statistic: str = "mean"
    cases: list = field(default_factory=list)

    def __post_init__(self):
        one_of("expects", self.expects, ("lower", "higher", "same"))
        one_of("scale", self.scale, ("difference", "ratio"))
        one_of("statistic", self.statistic, ("mean", "median"))
        whole("seeds", self.seeds, minimum=2)
        not_negative("margin", self.margin, example="0.01")

    @property
    def id(self):
        return self.ids[0]

    @property
    def page(self):
        """The chapter whose claims are judged together."""
        return table.row(self.id).chapter

    def counter(self, when, overlap=None):
        """Decorate the experiment of a counter-case: a setting in which the claim may do nothing, or harm."""

        def decorate(experiment):
            self.cases.append(Case(when, experiment, overlap))
            return experiment

        return decorate

    def run(self, case, seed):
        """Return the `Result` of one seed in one case, checked: a NaN in a table of results would go unseen."""
        result = Result(*map(float, case.experiment(seed)))
        least = 0.0 if self.scale == "ratio" else -math.inf
        if not all(math.isfinite(value) and value > least for value in result):
            needs = "finite and above 0" if self.scale == "ratio" else "finite"
            raise ValueError(f"{self.id}, {case.name}({seed}) gave {tuple(result)}; the metric must be {needs}.")
        return result


_registered = {}


def claim(*ids, metric, expects, when, seeds, overlap=None, **options):
    """Decorate the experiment of a claim; the arguments are the fields of `Claim` and of its first `Case`.

    Several ids stand for one statement that the sources make several times. The decorated name becomes the `Claim`,
    whose `.counter(when)` decorates its counter-cases. Raises ValueError for an id that already has an experiment,
    KeyError for one that is not in `claims.csv`.
    """

    def decorate(experiment):
        new = Claim(ids, metric, expects, seeds, cases=[Case(when, experiment, overlap)], **options)
        for claim_id in ids:
            table.row(claim_id)
            if claim_id in _registered:
                raise ValueError(f"{claim_id} has an experiment already: {_registered[claim_id].cases[0].name}.")
        _registered.update(dict.fromkeys(ids, new))
        return new

    return decorate


@functools.cache
def _load_experiments():
    package = importlib.import_module("course_lib.evidence.experiments")
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)


def claims():
    """Return every claim that has an experiment, each once, in the order of `claims.csv`."""
    _load_experiments()
    found = [_registered[row.id] for row in table.rows() if row.id in _registered]
    return [one for i, one in enumerate(found) if one not in found[:i]]


def of(claim_id):
    """Return the `Claim` behind an id; KeyError where there is none, with the reason if the table has one."""
    _load_experiments()
    row = table.row(claim_id)
    if claim_id not in _registered:
        raise KeyError(f"{claim_id} has no experiment: {row.reason or 'its chapter is not written yet'}.")
    return _registered[claim_id]
