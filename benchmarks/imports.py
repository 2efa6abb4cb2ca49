"""What `import course_lib` costs beyond Python's own start, against scikit-learn and torch.

    python -m benchmarks.imports

Fresh processes in turn, one thread; the time of a process that imports nothing is taken off. The peers are what the
course would pay if it imported them at its top.
"""

import os
import subprocess
import sys
import time

import numpy as np

from benchmarks._table import publish, row

REPETITIONS = 9
OURS = "course_lib, course_lib.objectives, course_lib.descent, course_lib.schedules"
STATEMENTS = {"nothing": "pass", "numpy": "import numpy", "course_lib": "import course_lib", "floors": f"import {OURS}",
              "sklearn": "import sklearn.linear_model", "torch": "import torch"}  # fmt: skip


def main():
    seconds = {name: [] for name in STATEMENTS}
    for _ in range(REPETITIONS + 1):  # the first round warms the disk
        for name, statement in STATEMENTS.items():
            seconds[name].append(_fresh_process(statement))
    start = np.median(seconds["nothing"][1:])
    cost = {name: np.maximum(np.array(times[1:]) - start, 1e-6) for name, times in seconds.items()}
    pairs = [("course_lib", "numpy"), ("course_lib", "sklearn"), ("course_lib", "torch"), ("floors", "numpy")]
    what = {"course_lib": "import course_lib", "floors": "import its objectives, descent and schedules"}
    return publish("imports", [row(what[a], "fresh process", cost[a], cost[b], peer_name=b) for a, b in pairs])


def _fresh_process(statement):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
