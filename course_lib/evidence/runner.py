"""Runs the experiments: only what has changed, in parallel, and so that a stopped run can go on.

Seeds are handed out through joblib. Another backend serves without other code:

    from dask.distributed import Client
    with Client(), joblib.parallel_config(backend="dask"):
        runner.run()
"""

import sys
import time
from pathlib import Path

import joblib
import numpy as np

from course_lib.evidence import fingerprint, records, registry, results

JOURNAL = Path(__file__).parent.parent.parent / "build" / "evidence.jsonl"


def run(claims=None, *, again=False, n_jobs=-1, journal=JOURNAL, table=results.TABLE, out=sys.stderr):
    """Measure what has changed since the last time and write the table; return it as plain data.

    A case is run again where the key of its code, data and libraries differs from that in the table
    (`course_lib.evidence.fingerprint`), and seeds that the journal holds under that key are not run twice: after
    Ctrl-C or a kill the next call goes on. `again=True` forgets both. Results of claims that do not exist any more
    leave the table. An exception of an experiment is raised, after the journal has all that was finished before it.
    """
    claims = registry.claims() if claims is None else claims
    check(claims)
    keys = {(one.id, case.name): fingerprint.key(case.experiment) for one in claims for case in one.cases}
    if again:
        Path(journal).unlink(missing_ok=True)
    known = {} if again else _known(claims, keys, results.read(table)) | records.read(journal)
    tasks = [(one, case, seed) for one in claims for case in one.cases for seed in range(one.seeds)
             if (keys[one.id, case.name], seed) not in known]  # fmt: skip
    with records.Journal(journal) as book:
        for one, case, seed, result, seconds in finished(tasks, n_jobs=n_jobs, out=out):
            book.write(keys[one.id, case.name], seed, result, seconds)
            known[keys[one.id, case.name], seed] = (*result, seconds)
    found = results.judged(claims, *_collected(claims, keys, known))
    whole = results.as_table(found, keys, _versions())
    results.write(whole, table)
    Path(journal).unlink()  # its seeds stand in the table now
    return whole


def measure(claim, seeds, *, n_jobs=1, out=None):
    """Run one claim on the given seeds now and return [array (n, 2) of before and after for each case]."""
    tasks = [(claim, case, seed) for case in claim.cases for seed in seeds]
    done = {(case.name, seed): result for _, case, seed, result, _ in finished(tasks, n_jobs=n_jobs, out=out)}
    return [np.array([done[case.name, seed] for seed in seeds]) for case in claim.cases]


def finished(tasks, *, n_jobs, out):
    """Run (claim, case, seed) tasks and yield (claim, case, seed, result, seconds) as each is finished."""
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    # the task's number comes back, not the task: a claim would return as a copy
    running = parallel(joblib.delayed(_timed)(i, *task) for i, task in enumerate(tasks))
    progress = Progress(len(tasks), out)
    for i, result, seconds in running:
        progress.step(tasks[i][0].id)
        yield *tasks[i], result, seconds
    progress.end()


def check(claims):
    """Raise ValueError for a claim without a counter-case, or with two cases of one name."""
    for one in claims:
        if len(one.cases) < 2:
            raise ValueError(f"{one.id} has no counter-case: add one with @{one.cases[0].name}.counter(when).")
        if len({case.name for case in one.cases}) < len(one.cases):
            raise ValueError(f"{one.id} has two cases of the same name: {[case.name for case in one.cases]}.")


class Progress:
    """One line that says how far it is and how long it will take; on a terminal it is written over."""

    def __init__(self, total, out, every=0.5):
        self.total, self.out, self.done, self.start = total, out, 0, time.monotonic()
        self.every = every if out is not None and out.isatty() else 10 * every
        self.last = self.start

    def step(self, name):
        self.done += 1
        now = time.monotonic()
        if self.done == 1:
            self.first = now
        if now - self.last >= self.every:
            self.last = now
            self._say(self.line(name, now))

    def line(self, name, now):
        gone = now - self.start
        so_far = f"{self.done:,} of {self.total:,} seeds, {gone:.0f} s gone"
        if self.done == 1:
            return f"{so_far}, now {name}"
        left = (now - self.first) / (self.done - 1) * (self.total - self.done)  # not counting how long workers took to start
        return f"{so_far}, about {left:.0f} s left, now {name}"

    def end(self):
        self._say(f"{self.done:,} seeds run in {time.monotonic() - self.start:.0f} s", end="\n")

    def _say(self, text, end=""):
        if self.out is not None:
            terminal = self.out.isatty()
            print(f"\r{text:<78}" if terminal else text, end=end if terminal else "\n", file=self.out, flush=True)


def _timed(i, claim, case, seed):
    start = time.process_time()  # not the clock on the wall: other processes would count
    result = claim.run(case, seed)
    # six digits are kept here, so that what is read back from the table is what was judged
    return i, tuple(float(f"{value:.6g}") for value in result), time.process_time() - start


def _known(claims, keys, table):
    """Return {(key, seed): (before, after, seconds)} of the table's cases that still have the same key."""
    known = {}
    for one in claims:
        line = table["claims"].get(one.id, {"cases": {}})
        runs = sum(len(case["seeds"]) for case in line["cases"].values())
        for name, case in line["cases"].items():
            if case["key"] == keys.get((one.id, name)):
                share = line["seconds"] / runs
                known |= {(case["key"], seed): (*pair, share) for seed, pair in enumerate(case["seeds"])}
    return known


def _collected(claims, keys, known):
    found = {one.id: [np.array([known[keys[one.id, case.name], seed][:2] for seed in range(one.seeds)]) for case in one.cases]
             for one in claims}  # fmt: skip
    seconds = {one.id: sum(known[keys[one.id, case.name], seed][2] for case in one.cases for seed in range(one.seeds))
               for one in claims}  # fmt: skip
    return found, seconds


def _versions():
    import platform

    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python} | {name: fingerprint.installed(name) for name in ("numpy", "scipy", "sklearn")}
