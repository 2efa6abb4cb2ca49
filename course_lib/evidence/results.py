"""The table of results, `results.json`: what was measured, with which versions and in what time, and what it says."""

import functools
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from course_lib.evidence import registry
from course_lib.evidence import verdict as judge

TABLE = Path(__file__).with_name("results.json")


@dataclass(frozen=True, eq=False)
class Measured:
    """All that is known of one claim. `seeds[i]` is an array (n, 2), before and after, of `claim.cases[i]`."""

    claim: registry.Claim
    effects: list
    verdict: judge.Verdict
    seeds: list
    seconds: float


def judged(claims, results, seconds):
    """Return {id: Measured} for claims with `results` {id: [array (n, 2) for each case]}, each page corrected as one."""
    found = {}
    for page in dict.fromkeys(one.page for one in claims):
        here = [one for one in claims if one.page == page]
        effects = judge.effects(here, {one.id: [seeds.T for seeds in results[one.id]] for one in here})
        for one in here:
            said = judge.verdict(one, effects[one.id])
            found[one.id] = Measured(one, effects[one.id], said, results[one.id], seconds[one.id])
    return {one.id: found[one.id] for one in claims}


def as_table(found, keys, versions):
    """Return the table as plain data. keys : {(id, case name): key of its code}."""
    lines = {}
    for claim_id, one in found.items():
        cases = {
            case.name: {"when": case.when, "key": keys[claim_id, case.name], **_rounded(asdict(effect)),
                        "seeds": seeds.tolist()}
            for case, effect, seeds in zip(one.claim.cases, one.effects, one.seeds)
        }  # fmt: skip
        lines[claim_id] = {"kind": one.verdict.kind, "verdict": one.verdict.text, "seconds": round(one.seconds, 2), "cases": cases}
    return {"versions": versions, "seconds": round(sum(one.seconds for one in found.values()), 1), "claims": lines}


def write(table, path=TABLE):
    """Write the table in one piece: whoever reads it meanwhile, or after a kill, sees the old one or the new one."""
    text = _seeds_on_one_line(json.dumps(table, indent=1, ensure_ascii=False))
    beside = Path(path).with_suffix(".new")
    beside.write_text(text + "\n", "utf-8")
    os.replace(beside, path)
    _read.cache_clear()


def read(path=TABLE):
    """Return the table as it stands in the file; empty if there is none yet."""
    path = Path(path)
    return _read(path, path.stat().st_mtime_ns) if path.exists() else {"versions": {}, "seconds": 0, "claims": {}}


@functools.cache
def _read(path, changed):
    return json.loads(path.read_text("utf-8"))


def measured(claim_id, path=TABLE):
    """Return what the table holds of a claim, as `Measured`.

    KeyError if it has no experiment (the message says why) or was not measured yet.
    """
    claim = registry.of(claim_id)
    table = read(path)["claims"]
    if claim.id not in table or any(case.name not in table[claim.id]["cases"] for case in claim.cases):
        raise KeyError(f"{claim_id} has not been measured yet; run `make evidence`.")
    line = table[claim.id]
    cases = [line["cases"][case.name] for case in claim.cases]
    names = judge.Effect.__dataclass_fields__
    effects = [judge.Effect(**{name: case[name] for name in names}) for case in cases]
    seeds = [np.array(case["seeds"]) for case in cases]
    return Measured(claim, effects, judge.Verdict(line["kind"], line["verdict"]), seeds, line["seconds"])


def number(claim_id, what="effect", case=0, path=TABLE):
    """Return one number of the table for a sentence: before, after, effect, low, high, n or p_value.

    case : 0 is the claim's own setting, 1 its first counter-case, and so on.

    >>> 0 <= number("A-8.3.1-2", "after", case=1) <= 1
    True
    """
    effect = measured(claim_id, path).effects[case]
    if not hasattr(effect, what):
        raise ValueError(f"what must be one of {', '.join(vars(effect))}; got {what!r}.")
    return getattr(effect, what)


def _short(value):
    return float(f"{value:.6g}")


def _rounded(numbers):
    return {name: _short(value) if isinstance(value, float) else value for name, value in numbers.items()}


def _seeds_on_one_line(text):
    """`indent` gives every number a line of its own: bring those of one seed together."""
    return re.sub(r"\[\s+([-\d.e+]+),\s+([-\d.e+]+)\s+\]", r"[\1, \2]", text)
