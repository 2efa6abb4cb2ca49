"""From the results of the seeds to a verdict: paired differences, their interval, and what they say of the claim."""

from dataclasses import dataclass

import numpy as np

from course_lib.statistics import bootstrap_interval, corrected_resampled_ttest, paired_difference

ALPHA = 0.05  # the chance that a page without any effect claims one
HOLDS, HARMS, NOTHING, NOISE, DIFFERS = "holds", "harms", "no effect", "seed noise", "differs"
IN_WORDS = {HOLDS: "holds", DIFFERS: "fails", HARMS: "fails and harms", NOTHING: "fails, without any effect,",
            NOISE: "is of the size of seed noise"}  # fmt: skip


@dataclass(frozen=True)
class Effect:
    """What the seeds of one case say.

    before, after : mean of the metric (geometric mean on the scale "ratio", median for the statistic "median").
    effect, low, high : after - before (or after / before) with its 95 % interval.
    surely_low, surely_high : the interval corrected for the number of cases on the page; it decides.
    p_value : of the test that there is no effect, not corrected. n : seeds. outcome : see `outcome`.
    """

    before: float
    after: float
    effect: float
    low: float
    high: float
    surely_low: float
    surely_high: float
    p_value: float
    n: int
    outcome: str


@dataclass(frozen=True)
class Verdict:
    """`kind` is "holds", "fails", "depends" or "seed noise"; `text` is the sentence for the reader."""

    kind: str
    text: str

    def __str__(self):
        return self.text


def holm(p_values, alpha=ALPHA):
    """Return the level at which each of the p-values is to be judged, shape (m,), after Holm (1979).

    The smallest is judged at alpha / m, the next at alpha / (m - 1), ... and from the first that is too large on all
    the others at its level. The chance of even one false discovery among the m stays below alpha.

    >>> holm([0.01, 0.04, 0.012]).round(4).tolist()
    [0.0167, 0.05, 0.025]
    """
    p_values = np.asarray(p_values, dtype=float)
    levels = np.empty(len(p_values))
    order = np.argsort(p_values, kind="stable")
    for rank, i in enumerate(order):
        level = alpha / (len(order) - rank)
        levels[i] = level
        if p_values[i] > level:
            levels[order[rank:]] = level
            break
    return levels


def effects(claims, results):
    """Return {claim: [Effect of each case]} for the claims of one page, which are corrected together.

    results : {claim: [(before, after) of each case]}, arrays of shape (seeds,).
    """
    measured = [(one, case, *pair) for one in claims for case, pair in zip(one.cases, results[one.id], strict=True)]
    plain = [_interval(*run) for run in measured]
    found = {one.id: [] for one in claims}
    for run, interval, level in zip(measured, plain, holm([interval.p_value for interval in plain])):
        found[run[0].id].append(_effect(*run, interval, level))
    return found


def outcome(expects, margin, low, high):
    """Return what an interval of after - before says of a claim that expects it "lower", "higher" or the "same".

    "holds" : all of it is on the claim's side of the margin ("same": within it). "harms" : all on the other side.
    "differs" : the claim says "same", and all of it is outside. "no effect" : within the margin. Otherwise
    "seed noise": seeds differ too much, or are too few, to tell.

    >>> outcome("lower", 0.0, -0.4, -0.1), outcome("lower", 0.0, -0.4, 0.1), outcome("same", 0.05, -0.01, 0.02)
    ('holds', 'seed noise', 'holds')
    """
    if -margin <= low and high <= margin:
        return HOLDS if expects == "same" else NOTHING
    if low <= margin and high >= -margin:
        return NOISE
    if expects == "same":
        return DIFFERS
    return HOLDS if (low > margin) == (expects == "higher") else HARMS


def verdict(claim, found):
    """Return the `Verdict` on a claim from the `Effect` of each of its cases."""
    whens = {}
    for case, effect in zip(claim.cases, found, strict=True):
        whens.setdefault(effect.outcome, []).append(case.when)
    text = " / ".join(f"{IN_WORDS[said]} when {'; '.join(whens[said])}" for said in IN_WORDS if said in whens)
    if HOLDS in whens:
        return Verdict("holds" if len(whens) == 1 else "depends", text)
    return Verdict("seed noise" if found[0].outcome == NOISE else "fails", text)


def _on_scale(claim, before, after):
    before, after = np.asarray(before, float), np.asarray(after, float)
    return (np.log(before), np.log(after)) if claim.scale == "ratio" else (before, after)


def _interval(claim, case, before, after, confidence=1 - ALPHA):
    """Return the interval of the paired differences on the claim's scale, as an object with low, high, p_value."""
    before, after = _on_scale(claim, before, after)
    if claim.statistic == "median":
        return _median(after - before, confidence)
    if case.overlap:
        return corrected_resampled_ttest(after - before, *case.overlap, confidence)
    return paired_difference(before, after, confidence)


@dataclass(frozen=True)
class _Median:
    mean: float
    low: float
    high: float
    p_value: float


def _median(differences, confidence):
    from scipy.stats import binomtest

    interval = bootstrap_interval(differences, np.median, confidence=confidence, random_state=0)
    signs = differences[differences != 0]
    p_value = binomtest(int((signs > 0).sum()), len(signs)).pvalue if len(signs) else 1.0  # the sign test
    return _Median(interval.mean, interval.low, interval.high, float(p_value))


def _effect(claim, case, before, after, plain, level):
    surely = _interval(claim, case, before, after, 1 - level)
    centre = np.median if claim.statistic == "median" else np.mean
    b, a = _on_scale(claim, before, after)
    back = np.exp if claim.scale == "ratio" else (lambda value: value)
    numbers = [float(back(v)) for v in (centre(b), centre(a), plain.mean, plain.low, plain.high, surely.low, surely.high)]
    said = outcome(claim.expects, claim.margin, surely.low, surely.high)
    return Effect(*numbers, float(plain.p_value), len(b), said)
