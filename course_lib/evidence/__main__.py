"""`python -m course_lib.evidence`: measure what has changed, write results.json, print every verdict."""

import argparse
import sys

from course_lib.evidence import runner


def main():
    parser = argparse.ArgumentParser(prog="python -m course_lib.evidence", description=__doc__)
    parser.add_argument("--again", action="store_true", help="run everything, also what has not changed")
    parser.add_argument("--jobs", type=int, default=-1, help="seeds at a time; the default takes every core")
    options = parser.parse_args()
    try:
        table = runner.run(again=options.again, n_jobs=options.jobs)
    except KeyboardInterrupt:
        print(f"\nstopped. Every finished seed is kept in {runner.JOURNAL}; run it again to go on.", file=sys.stderr)
        return 130
    for claim_id, line in table["claims"].items():
        print(f"{claim_id:13} {line['verdict']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
