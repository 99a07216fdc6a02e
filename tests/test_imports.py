"""Imports go one way, and a command loads no more than it needs."""

import ast
import json
import os
import subprocess
import sys
from functools import cache

import pytest

from tests.support.paths import ROOT

PACKAGES = ("orchestrator", "dfcil_core", "reports", "sweeps")
HEAVY = {"torch", "torchvision", "mlflow", "optuna"}

# From the bottom to the top: a module imports what stands above its own line here, and its own package.
ORDER = (
    "dfcil_core",
    "sweeps",
    "orchestrator.garbage",
    "orchestrator.text",
    "orchestrator.errors",
    "orchestrator.files",
    "orchestrator.signals",
    "orchestrator.notify",
    "orchestrator.spec",
    "orchestrator.schema",
    "orchestrator.plan",
    "orchestrator.store",
    "orchestrator.results",
    "orchestrator.cluster",
    "orchestrator.worker",
    "orchestrator.engine",
    "orchestrator.status",
    "orchestrator.estimate",
    "orchestrator.tracking",
    "reports",
    "orchestrator.tuning",
    "orchestrator.first_spec",
    "orchestrator.doctor",
    "orchestrator.plugin_check",
    "orchestrator.preview",
    "orchestrator.launch",
    "orchestrator.tune",
    "orchestrator.cli",
)


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports() -> dict[str, frozenset[str]]:
    """Module to all that it imports, wherever in its code; of `from a import b` both a and a.b."""
    found = {}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        module, names = name_of(path), set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module} imports relatively"
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        found[module] = frozenset(names)
    return found


def packages(module):
    return {name.partition(".")[0] for name in imports()[module]}


def inside(module, package):
    return module == package or module.startswith(package + ".")


def place(module):
    """The position in ORDER; None for the packages' own front doors, which offer what all others make."""
    return next((number for number, package in enumerate(ORDER) if inside(module, package)), None)


def ours(module):
    return {name for name in imports()[module] if name in imports() and name not in (*PACKAGES, module)}


def test_the_tree_was_found():
    assert {"orchestrator.plan.plan", "dfcil_core.methods.abd", "reports.tables.render", "sweeps"} <= imports().keys()
    assert "reports.tables.render" in imports()["orchestrator.cli.report"]  # inside a function


def test_every_module_has_its_place():
    assert [module for module in imports() if place(module) is None and module != "orchestrator"] == []


def test_imports_go_down():
    upwards = [
        f"{module} imports {name}"
        for module in imports()
        if place(module) is not None
        for name in ours(module)
        if place(name) > place(module)
    ]
    assert upwards == []


def test_no_module_imports_itself_by_way_of_others():
    # A package's __init__ stands for the package: its members import one another, not it.
    state: dict[str, str] = {}

    def visit(module, path):
        assert state.get(module) != "open", " -> ".join([*path, module])
        if module in state:
            return
        state[module] = "open"
        for name in sorted(ours(module)):
            if not inside(module, name):
                visit(name, [*path, module])
        state[module] = "done"

    for module in imports():
        visit(module, [])


def test_the_core_knows_nothing_of_what_launches_it():
    foreign = {"orchestrator", "reports", "sweeps", "mlflow", "optuna", "click", "dask", "distributed", "rich"}
    core = [module for module in imports() if inside(module, "dfcil_core")]
    assert {module: packages(module) & foreign for module in core if packages(module) & foreign} == {}


def test_only_tracking_imports_mlflow():
    importers = {module for module in imports() if "mlflow" in packages(module)}
    assert importers and all(inside(module, "orchestrator.tracking") for module in importers)


def test_only_tuning_imports_optuna():
    importers = {module for module in imports() if "optuna" in packages(module)}
    assert all(inside(module, "orchestrator.tuning") for module in importers)


# `launch --log-models` rebuilds the final networks in the launcher, and `check-plugin` trains in its own process.
WITH_TORCH = ("orchestrator.tracking.models", "orchestrator.plugin_check")


def test_the_launcher_sees_of_the_core_only_what_is_free_of_torch():
    launcher = [module for module in imports() if not inside(module, "dfcil_core") and module not in WITH_TORCH]
    seen = {name for module in launcher for name in ours(module) if inside(name, "dfcil_core")}
    assert "dfcil_core.config" in seen
    code = "import importlib, json, sys\nfor name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
    code += f"print(sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code, json.dumps(sorted(seen))], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["--version"],
        ["launch", "--help"],
        ["plan", "demo"],
        ["plan", "demo", "--json"],
        ["launch", "demo", "--dry-run"],
        ["methods"],
        ["methods", "abd"],
        ["datasets"],
        ["schema"],
        ["status"],
    ],
    ids=" ".join,
)
def test_a_command_that_trains_nothing_loads_nothing_heavy(command, tmp_path):
    code = (
        "import sys\nfrom orchestrator.cli import main\nsys.argv[0] = 'dfcil-sweep'\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        f"print('loaded:', sorted({HEAVY | {'distributed', 'pandas'}!r} & sys.modules.keys()))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DFCIL_RUNS"}
    launched = [sys.executable, "-c", code, *command]
    done = subprocess.run(launched, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded: []"
    assert list(tmp_path.iterdir()) == []
