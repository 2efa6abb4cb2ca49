"""When must an experiment be run again? A key of the code, the data and the versions that its result depends on.

Code counts without comments and docstrings, so better words do not cost a run. Of the experiment's own file the
function counts, and every name of the file that it uses, directly or through another; of the rest of `course_lib`
each file that these import, and what that file imports.
"""

import ast
import functools
import hashlib
import inspect
from importlib.metadata import version
from pathlib import Path

# how it is imported -> how it is installed
LIBRARIES = {"numpy": "numpy", "scipy": "scipy", "sklearn": "scikit-learn", "pandas": "pandas", "torch": "torch"}
DATA = Path(__file__).parent.parent / "datasets" / "files"


def key(experiment):
    """Return the key of an experiment, a function at the top level of its file: 16 hexadecimal digits."""
    parts = used_in_file(Path(inspect.getsourcefile(experiment)), experiment.__name__)
    files = files_behind(parts)
    texts = [ast.dump(part) for part in parts] + [code_of(file) for file in sorted(files)]
    libraries = {"numpy"}.union(*(_top_names(part) for part in parts), *(_top_names(_tree(file)) for file in files))
    texts += [f"{name} {installed(name)}" for name in LIBRARIES if name in libraries]
    if any(file.parent == DATA.parent for file in files):
        texts += data_of(DATA)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def data_of(folder):
    """Return the hashes of the tables that the course carries itself; those inside libraries have a version."""
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.glob("*.csv*"))]


@functools.cache
def installed(name):
    """Return the installed version of a library, without the name of its build."""
    return version(LIBRARIES[name]).split("+")[0]


def used_in_file(file, name):
    """Return the statements at the top of `file` that `name` needs, itself first, decorators and docstrings removed."""
    defined = {}
    for node in _tree(file).body:
        for bound in _names_bound(node):
            defined.setdefault(bound, []).append(node)
    if name not in defined:
        raise ValueError(f"{name!r} must be a function at the top level of {file.name}: other functions have no key.")
    wanted, found = [name], {}
    while wanted:
        current = wanted.pop()
        if current in found or current not in defined:
            continue
        found[current] = defined[current]
        used = {n.id for node in defined[current] for n in ast.walk(node) if isinstance(n, ast.Name)}
        wanted += sorted(used)
    nodes = found.pop(name) + [node for other in sorted(found) for node in found[other]]
    return list({id(node): node for node in nodes}.values())


def files_behind(parts):
    """Return every file of `course_lib` that these statements import, and those that they import in turn."""
    found, wanted = set(), [file for part in parts for file in _imports(part, "")]
    while wanted:
        file = wanted.pop()
        if file not in found:
            found.add(file)
            wanted += _imported_by(file)
    return found


def code_of(file):
    """Return what a Python file does, as text, without its comments and docstrings."""
    return _dumped(file, file.stat().st_mtime_ns)


@functools.cache
def _dumped(file, changed):
    return ast.dump(_parsed(file, changed))


def _tree(file):
    return _parsed(file, file.stat().st_mtime_ns)


@functools.cache
def _parsed(file, changed):
    tree = ast.parse(file.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []  # the words around an experiment are not the experiment
    return tree


def _names_bound(node):
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def _top_names(node):
    """Return the first words of all that is imported anywhere in `node`."""
    found = set()
    for n in ast.walk(node):
        if isinstance(n, ast.Import):
            found |= {alias.name.split(".")[0] for alias in n.names}
        elif isinstance(n, ast.ImportFrom) and not n.level:
            found.add(n.module.split(".")[0])
    return found


def _imported_by(file):
    relative = file.relative_to(Path(__file__).parent.parent.parent).with_suffix("")
    parts = relative.parts[:-1]  # the package that a relative import starts from
    return _imports(_tree(file), ".".join(parts))


def _imports(node, package):
    """Return the files of `course_lib` that are imported anywhere in `node`, a statement of a file in `package`."""
    modules = []
    for n in ast.walk(node):
        if isinstance(n, ast.Import):
            modules += [alias.name for alias in n.names]
        elif isinstance(n, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - n.level + 1]) if n.level else ""
            module = ".".join(filter(None, [base, n.module]))
            modules += [module, *(f"{module}.{alias.name}" for alias in n.names)]
    return [file for module in modules if (file := _file_of(module))]


@functools.cache
def _file_of(module):
    """Return the file of a module below `course_lib`, None for anything else; names inside modules have no file.

    The engine itself does not count: it runs experiments and has no part in what they measure.
    """
    engine = module.startswith("course_lib.evidence") and not module.startswith("course_lib.evidence.experiments.")
    if engine or not module.startswith("course_lib."):
        return None
    base = Path(__file__).parent.parent.joinpath(*module.split(".")[1:])
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.exists()), None)
