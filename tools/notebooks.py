"""Derive and execute the notebooks: `python tools/notebooks.py [02 ...]`.

    chapters/NN_name/lesson.md          ->  chapters/NN_name/lesson.ipynb
    solutions/NN_name/exercises.md      ->  solutions/NN_name/exercises.ipynb and chapters/NN_name/exercises.ipynb
    chapters/index.md                   ->  chapters/index.ipynb

Without numbers: every chapter ("index" names the start page). Only notebooks whose source changed are executed
again; --all executes every one, for a change in the library under them. --check writes nothing and fails if a
notebook is not what its source gives.
"""

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from course_lib.classroom import derive, sheet  # noqa: E402


def derived(only=()):
    """{path: notebook that its source gives, not executed}, of the chapters whose name begins with one of `only`."""
    made = {}
    for source in [*sorted(ROOT.glob("chapters/*/lesson.md")), ROOT / "chapters/index.md"]:
        if source.exists() and _is_wanted("index" if source.stem == "index" else source.parent.name, only):
            cells = [(cell.cell_type, cell.source, _kept(cell)) for cell in sheet.read_cells(source)]
            made[source.with_suffix(".ipynb")] = derive.notebook(cells)
    for source in sorted(ROOT.glob("solutions/*/exercises.md")):
        chapter = source.parent.name
        if _is_wanted(chapter, only):
            exercises = sheet.Sheet(source)
            made[source.with_suffix(".ipynb")] = derive.notebook(derive.instructor_cells(exercises))
            made[ROOT / "chapters" / chapter / "exercises.ipynb"] = derive.notebook(derive.learner_cells(exercises))
    return made


def _is_wanted(name, only):
    return not only or name.startswith(tuple(only))


def _kept(cell):
    """Metadata that readers notice: tags, and an input folded away so that a quiz does not show its answer."""
    return {key: cell.metadata[key] for key in ("tags", "jupyter") if key in cell.metadata}


def content(notebook):
    """What must be equal in a derived and a committed notebook: each cell's type, source and metadata."""
    return [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]


def differences(path, wanted):
    """How the notebook at `path` differs from `wanted`, in one line each; empty if it does not."""
    if not path.exists():
        return ["there is no such file"]
    have, want = content(nbformat.read(path, as_version=4)), content(wanted)
    lines = [f"cell {i} differs: {a[1][:60]!r}" for i, (a, b) in enumerate(zip(have, want)) if a != b]
    return lines + [f"{len(have)} cells instead of {len(want)}"] * (len(have) != len(want))


def execute(path, notebook):
    """Execute `notebook` in the folder of `path` and put it there, whole or not at all; return seconds taken."""
    from nbclient import NotebookClient

    start = time.perf_counter()
    path.parent.mkdir(parents=True, exist_ok=True)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
    )
    client.execute()
    _strip(notebook)
    part = path.with_suffix(".part")
    nbformat.write(notebook, part)
    os.replace(part, path)
    return time.perf_counter() - start


def _strip(notebook):
    """Take out what belongs to this run: the kernel's version, widgets, which are dead without their kernel, and
    what a cell found on this machine; and the copy of a picture that stands in its HTML already.

    A page without a kernel then shows the still picture that stands beside the widget.
    """
    notebook.metadata = derive.NOTEBOOK_METADATA
    for cell in notebook.cells:
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            cell.outputs, cell.execution_count = [], None
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop("application/vnd.jupyter.widget-view+json", None)
            if "<img " in data.get("text/html", ""):
                data.pop("image/png", None)
                output.metadata.pop("image/png", None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", help="chapter numbers, such as 02, or index")
    parser.add_argument("--all", action="store_true", help="execute also what did not change")
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a notebook that differs")
    options = parser.parse_args()
    made = derived(options.chapters)
    changes = {path: differences(path, notebook) for path, notebook in made.items()}
    if options.check:
        for path, lines in changes.items():
            print(f"{path.relative_to(ROOT)}: {'as its source' if not lines else '; '.join(lines[:3])}")
        return int(any(changes.values()))
    todo = [path for path in made if options.all or changes[path]]
    print(f"{len(made)} notebooks, {len(todo)} to execute")
    return execute_all({path: made[path] for path in todo})


def execute_all(notebooks):
    """Execute notebooks in two processes, saying what is done; return the number that failed."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["COURSE_PROGRESS_FILE"] = os.path.join(tempfile.mkdtemp(), "progress.json")
    failed = 0
    with ProcessPoolExecutor(2) as pool:
        running = {pool.submit(execute, path, notebook): path.relative_to(ROOT) for path, notebook in notebooks.items()}
        for done, job in enumerate(as_completed(running), 1):
            try:
                print(f"[{done}/{len(running)}] {running[job]}: {job.result():.1f} s", flush=True)
            except Exception as error:
                failed += 1
                print(f"[{done}/{len(running)}] {running[job]}: FAILED\n{error}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
