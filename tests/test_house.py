"""The house rules of CONTRIBUTING.md, held by walking the sources: who imports whom, what no file may hold.

Each rule is a function from sources to offences, tried first on a made-up offence (a rule that cannot fail holds
nothing) and then on the house itself.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {  # module path below src/decet -> text
    str(path.relative_to(ROOT / "src" / "decet")): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "src" / "decet").rglob("*.py"))
}
WORKSHOPS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for folder in ("tests", "benchmarks", "examples", "docs")
    for path in sorted((ROOT / folder).rglob("*.py"))
}

# errors <- tensors, settings <- contracts <- nn <- families; contracts <- data, training, artifact;
# contracts, nn <- tasks; baselines, ppmi and kneser_ney stand by themselves;
# all of these <- estimators <- referee, pages <- flags <- explaining <- acting, comparing, generating, writers <- cli.
# Data, families, tasks and training never import one another.
NOUNS = {"errors", "tensors", "settings", "contracts"}
BELOW: dict[str, set[str]] = {
    "errors": set(),
    "tensors": {"errors"},
    "settings": {"errors"},
    "contracts": {"errors", "tensors"},
    "nn": NOUNS,
    "families": {*NOUNS, "nn"},
    "data": NOUNS,
    "tasks": {*NOUNS, "nn"},
    "training": NOUNS,
    "artifact": NOUNS,
    "baselines": NOUNS,
    "ppmi": NOUNS,
    "kneser_ney": NOUNS,
}
BELOW["estimators"] = set(BELOW)
BELOW["referee"] = BELOW["pages"] = {*BELOW, "referee", "pages"}
BELOW["writers"] = set()
BELOW["flags"] = {*BELOW, "__init__"}
BELOW["explaining"] = {*BELOW, "__init__"}
BELOW["acting"] = BELOW["comparing"] = BELOW["generating"] = BELOW["listing"] = BELOW["touring"] = {*BELOW, "__init__"}
BELOW["cli"] = BELOW["__main__"] = BELOW["__init__"] = {*BELOW, "cli", "__init__"}

LINES = {"contracts.py": 250, "families": 400}  # at most, by file or room
LINES_ELSEWHERE = 600


def room(module: str) -> str:
    """`data/tables.py` -> `data`; `cli.py` -> `cli`."""
    return Path(module).parts[0].removesuffix(".py")


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING:`, which no run imports."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from nodes(other)
        else:
            yield from nodes(child)


def imports(tree: ast.AST, module: str = "") -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything imported; `from a import b` gives `a.b`; relative ones are resolved."""
    package = ["decet", *Path(module).parent.parts]
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def wrong_imports(module: str, text: str) -> list[str]:
    own, found = room(module), []
    for line, name in imports(ast.parse(text), module):
        parts = name.split(".")
        if parts[0] != "decet" or name == "decet.__version__":
            continue
        target = parts[1] if len(parts) > 1 and parts[1] in BELOW else "__init__"
        if target != own and target not in BELOW[own]:
            found.append(f"{module}:{line}: {own} may not import {name}")
    return found


def open_signatures(module: str, text: str) -> list[str]:
    """Public functions and methods that take **kwargs: a misspelt name would pass unseen."""
    found = []

    def walk(body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                walk(node.body)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                public = not node.name.startswith("_") or node.name in ("__init__", "__new__", "__call__")
                # scikit-learn's own signature; every name in it is checked.
                if public and node.args.kwarg and node.name != "set_params":
                    found.append(f"{module}:{node.lineno}: {node.name} takes **{node.args.kwarg.arg}")
            elif isinstance(node, ast.If | ast.Try):
                walk([child for child in ast.walk(node) if child is not node and isinstance(child, ast.FunctionDef)])

    walk(ast.parse(text).body)
    return found


def unsafe_calls(module: str, text: str) -> list[str]:
    """What can run code out of data."""
    found, tree = [], ast.parse(text)
    closed = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"}
    for line, name in imports(tree, module):
        if name.split(".")[0] in closed:
            found.append(f"{module}:{line}: imports {name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            call = ast.unparse(node.func)
            allows = any(key.arg == "allow_pickle" and ast.unparse(key.value) != "False" for key in node.keywords)
            if call in ("eval", "exec", "torch.load", "torch.save") or call.endswith("_pickle") or allows:
                found.append(f"{module}:{node.lineno}: calls {call}")
    return found


def closed_packages(module: str, text: str) -> list[str]:
    """torchvision and torchaudio cannot be imported with the CPU build of torch."""
    names = imports(ast.parse(text), module)
    return [
        f"{module}:{line}: imports {name}"
        for line, name in names
        if name.split(".")[0] in ("torchvision", "torchaudio")
    ]


def overlong(module: str, text: str) -> list[str]:
    most = LINES.get(module, LINES.get(room(module), LINES_ELSEWHERE))
    count = len(text.splitlines())
    return [f"{module} has {count} lines, at most {most}"] if count > most else []


def heavy_top(module: str, text: str) -> list[str]:
    """Imports of the command line at its top that would make `decet --help` slow."""
    if module != "cli.py":
        return []
    top = ast.Module([node for node in ast.parse(text).body if not isinstance(node, ast.FunctionDef)], [])
    heavy = ("torch", "sklearn", "pandas", "scipy", "matplotlib")
    names = imports(top, module)
    return [f"{module}:{line}: imports {name} at its top" for line, name in names if name.split(".")[0] in heavy]


def mirror_of(module: str) -> str | None:
    """`data/tables.py` -> `tests/data/test_tables.py`; packages' own files need none."""
    path = Path(module)
    if path.name in ("__init__.py", "__main__.py"):
        return None
    return str(Path("tests") / path.parent / f"test_{path.name}")


RULES: dict[Callable[[str, str], list[str]], list[tuple[str, str]]] = {
    wrong_imports: [
        ("errors.py", "import decet.contracts"),
        ("contracts.py", "from decet.nn import stems"),
        ("nn/a.py", "from decet.families.dnn import DNN"),
        ("families/a.py", "from decet.tasks import classify"),
        ("families/a.py", "from ..data.tables import Tables"),
        ("families/a.py", "from .. import data"),
        ("data/a.py", "def f():\n    from decet.training.loop import run"),
        ("tasks/a.py", "import decet.families.dnn as dnn"),
        ("training/a.py", "from decet import tasks"),
        ("artifact.py", "from decet.estimators import base"),
        ("estimators/a.py", "from decet import cli"),
        ("estimators/a.py", "from decet.pages.page import report"),
        ("pages/a.py", "from decet.cli import main"),
        ("data/a.py", "from decet import Recipe"),
        ("nn/a.py", "if TYPE_CHECKING:\n    pass\nelse:\n    import decet.data.tables"),
    ],
    open_signatures: [
        ("a.py", "def f(**kwargs): ..."),
        ("a.py", "class A:\n    def __init__(self, **settings): ..."),
        ("a.py", "class A:\n    async def f(self, *, a=1, **rest): ..."),
        ("a.py", "if True:\n    def f(**kwargs): ..."),
    ],
    unsafe_calls: [
        ("a.py", "import pickle"),
        ("a.py", "from joblib import load"),
        ("a.py", "def f(x): return eval(x)"),
        ("a.py", "exec('x')"),
        ("a.py", "torch.load(path, weights_only=True)"),
        ("a.py", "pd.read_pickle(path)"),
        ("a.py", "np.load(path, allow_pickle=True)"),
    ],
    closed_packages: [("a.py", "import torchvision.ops"), ("tests/test_a.py", "from torchaudio import load")],
    overlong: [("contracts.py", "\n" * 251), ("families/dnn.py", "\n" * 401), ("data/tables.py", "\n" * 601)],
    heavy_top: [
        ("cli.py", "import torch"),
        ("cli.py", "try:\n    from sklearn.base import clone\nexcept ImportError: ..."),
    ],
}
ALLOWED: dict[Callable[[str, str], list[str]], list[tuple[str, str]]] = {
    wrong_imports: [
        ("contracts.py", "if TYPE_CHECKING:\n    from decet.training.recipe import Recipe"),
        ("families/gan.py", "from decet.families.cnn import CNN"),
        ("families/gan.py", "from .cnn import CNN"),
        ("estimators/a.py", "from decet import __version__, artifact"),
        ("pages/a.py", "from decet import referee"),
        ("cli.py", "from decet import Recipe, datasets"),
        ("data/a.py", "import torch, numpy.linalg"),
    ],
    open_signatures: [
        ("a.py", "def _f(**kwargs): ..."),
        ("a.py", "class A:\n    def set_params(self, **params): ..."),
        ("a.py", "def f():\n    def inner(**kwargs): ..."),
    ],
    unsafe_calls: [("a.py", "model.eval(); safetensors.torch.load(data); np.load(path, allow_pickle=False)")],
    heavy_top: [("cli.py", "def main():\n    import torch"), ("cli.py", "if TYPE_CHECKING:\n    import torch")],
}


@pytest.mark.parametrize(("rule", "case"), [(rule, case) for rule, cases in RULES.items() for case in cases])
def test_each_rule_sees_an_offence(rule: Callable[[str, str], list[str]], case: tuple[str, str]) -> None:
    assert rule(*case)


@pytest.mark.parametrize(("rule", "case"), [(rule, case) for rule, cases in ALLOWED.items() for case in cases])
def test_each_rule_lets_pass_what_is_allowed(rule: Callable[[str, str], list[str]], case: tuple[str, str]) -> None:
    assert rule(*case) == []


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps_the_rule(rule: Callable[[str, str], list[str]]) -> None:
    offences = [offence for module, text in SOURCES.items() for offence in rule(module, text)]
    assert not offences, "\n".join(offences)


def test_tests_benchmarks_and_examples_need_no_closed_package() -> None:
    offences = [offence for module, text in WORKSHOPS.items() for offence in closed_packages(module, text)]
    assert not offences, "\n".join(offences)


def test_every_room_is_known() -> None:
    assert {room(module) for module in SOURCES} <= set(BELOW)


def test_every_source_file_has_its_test_file() -> None:
    wanted = {module: mirror_of(module) for module in SOURCES}
    offences = [f"{module} has no {test}" for module, test in wanted.items() if test and not (ROOT / test).exists()]
    assert not offences, "\n".join(offences)


@pytest.mark.parametrize("module", ["decet", "decet.cli"])
def test_importing_the_front_door_loads_nothing_heavy(module: str) -> None:
    heavy = {"torch", "sklearn", "pandas", "scipy", "matplotlib"}
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT / "src")
    assert (found.stdout, found.stderr) == ("[]\n", "")
