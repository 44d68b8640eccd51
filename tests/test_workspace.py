"""What holds for every package of the workspace."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import defaultdict
from importlib import import_module
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from marketgpt_core.plugins import registries

MOST_LINES_A_FILE = 350
MOST_LINES_A_FUNCTION = 80
HEAVY = (
    "numpy",
    "pandas",
    "pydantic",
    "torch",
    "scipy",
    "pyarrow",
    "sqlalchemy",
    "fastapi",
    "nicegui",
    "plotly",
)
# The conformance suites and the pytest plugin run under the pytest of whoever uses them.
NEED_PYTEST = {"testing.py", "conformance.py", "pytest_plugin.py", "conformance_collect.py"}


def import_name(distribution: str) -> str:
    return distribution.replace("-", "_")


def sources(folder: Path) -> list[Path]:
    return sorted(folder.glob("src/**/*.py"))


def test_there_are_eight_packages(projects):
    assert {project["project"]["name"] for project in projects.values()} == {
        "marketgpt", "marketgpt-core", "marketgpt-data-sources", "marketgpt-models", "marketgpt-monitoring",
        "marketgpt-signals", "marketgpt-tokenizer", "marketgpt-training",
    }  # fmt: skip


def test_every_package_has_what_a_package_has(projects):
    lacking = []
    for folder, project in projects.items():
        module = folder / "src" / import_name(project["project"]["name"])
        needed = (folder / "README.md", folder / "CHANGELOG.md", folder / "LICENSE", module / "__init__.py")
        lacking += [f"{path}: missing or empty" for path in needed if not _has_text(path)]
        if not (module / "py.typed").is_file():
            lacking.append(f"{folder.name}: py.typed")
        if not list(folder.glob("tests/**/test_*.py")):
            lacking.append(f"{folder.name}: tests")
        version = project["project"]["version"]
        changelog = folder / "CHANGELOG.md"
        if changelog.is_file() and f"## {version}" not in changelog.read_text(encoding="utf-8"):
            lacking.append(f"{folder.name}: CHANGELOG.md says nothing of {version}")
    assert lacking == []


def _has_text(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 50


def test_sibling_ranges_admit_the_versions_of_the_workspace(projects):
    versions = {project["project"]["name"]: project["project"]["version"] for project in projects.values()}
    wrong, seen = [], 0
    for folder, project in projects.items():
        for text in _declared(project):
            requirement = Requirement(text)
            if requirement.name not in versions:
                continue
            seen += 1
            if not requirement.specifier or versions[requirement.name] not in requirement.specifier:
                wrong.append(f"{folder.name}: {text}, the workspace has {versions[requirement.name]}")
    assert wrong == []
    assert seen > 10


def test_every_direct_dependency_has_a_lower_bound(projects):
    loose = [
        f"{folder.name}: {text}"
        for folder, project in projects.items()
        for text in _declared(project)
        if not any(one.operator in {">=", "==", "~=", ">"} for one in Requirement(text).specifier)
    ]
    assert loose == []


def _declared(project: dict) -> list[str]:
    extras = project["project"].get("optional-dependencies", {})
    return [*project["project"].get("dependencies", []), *(text for part in extras.values() for text in part)]


class Imports(ast.NodeVisitor):
    """Top-level names a module imports at run time: not what only a type checker sees."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for other in node.orelse:
                self.visit(other)
            return
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.found.setdefault(alias.name.partition(".")[0], node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level == 0 and node.module:
            self.found.setdefault(node.module.partition(".")[0], node.lineno)


def runtime_imports(path: Path) -> dict[str, int]:
    imports = Imports()
    imports.visit(ast.parse(path.read_text(encoding="utf-8")))
    return imports.found


def all_imports(path: Path) -> set[str]:
    """Type checkers need their imports installed, too: a wheel's users check their own code against it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    froms = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and not n.level and n.module}
    return {name.partition(".")[0] for name in plain | froms}


def test_the_import_walk_sees_what_runs_and_not_what_only_a_type_checker_does(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import a.b\nfrom c.d import e\nfrom . import f\n"
        "if TYPE_CHECKING:\n    import g\nelse:\n    import h\n"
        "def late():\n    import i\n",
        encoding="utf-8",
    )
    assert runtime_imports(path) == {"a": 1, "c": 2, "h": 7, "i": 9}


def test_every_import_is_of_a_declared_dependency(projects):
    homes = packages_distributions()
    ours = {
        import_name(project["project"]["name"]): project["project"]["name"] for project in projects.values()
    }
    undeclared = defaultdict(list)
    for folder, project in projects.items():
        own = import_name(project["project"]["name"])
        declared = {canonicalize_name(Requirement(text).name) for text in _declared(project)}
        for path in sources(folder):
            for name, line in runtime_imports(path).items():
                if name in sys.stdlib_module_names or name == own:
                    continue
                if name == "pytest" and path.name in NEED_PYTEST:
                    continue
                needed = (
                    {ours[name]} if name in ours else set(homes.get(name, [f"no distribution has {name!r}"]))
                )
                if not {canonicalize_name(one) for one in needed} & declared:
                    undeclared[f"{folder.name}: {' or '.join(sorted(needed))}"].append(
                        f"{path.relative_to(folder)}:{line}"
                    )
    assert dict(undeclared) == {}


# Used without an import of ours: (package, distribution).
USED_BY_NAME = {
    ("marketgpt", "marketgpt-tokenizer"),  # found through the registry
    ("training", "marketgpt-tokenizer"),
    ("training", "deepspeed"),  # imported behind its own noise filter
    ("training", "nvidia-ml-py"),  # torch.cuda.utilization asks it
    ("training", "tensorboard"),  # torch.utils.tensorboard imports it
    ("signals", "pyarrow"),  # pandas reads and writes Parquet with it
    ("models", "pyarrow"),
}


def test_every_declared_dependency_is_used(projects):
    """An unused dependency costs everybody who installs."""
    homes = packages_distributions()
    unused = []
    for folder, project in projects.items():
        names = {name for path in sources(folder) for name in all_imports(path)}
        imported = {canonicalize_name(home) for name in names for home in homes.get(name, [name])}
        imported |= {canonicalize_name(name) for name in names if name.startswith("marketgpt")}
        for text in project["project"].get("dependencies", []):
            name = canonicalize_name(Requirement(text).name)
            if name not in imported and (folder.name, name) not in USED_BY_NAME:
                unused.append(f"{folder.name}: {text}")
    assert unused == []


def test_the_development_tools_know_every_package(root, projects):
    import tomllib

    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    names = {project["project"]["name"] for project in projects.values()}
    assert set(settings["tool"]["uv"]["sources"]) == names
    assert set(settings["tool"]["importlinter"]["root_packages"]) == {import_name(name) for name in names}
    assert {Requirement(text).name for text in settings["project"]["dependencies"]} == names


def test_the_architecture_holds(root):
    lint = Path(sys.executable).with_name("lint-imports")
    if not lint.exists():
        pytest.skip("import-linter is not installed: uv sync")
    done = subprocess.run([str(lint), "--no-cache"], capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Contracts: 2 kept, 0 broken." in done.stdout


def test_files_and_functions_stay_small(projects):
    large = []
    for folder in projects:
        for path in sources(folder):
            text = path.read_text(encoding="utf-8")
            where = path.relative_to(folder.parent)
            if (lines := text.count("\n")) > MOST_LINES_A_FILE:
                large.append(f"{where}: {lines} lines")
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    lines = (node.end_lineno or node.lineno) - node.lineno + 1
                    if lines > MOST_LINES_A_FUNCTION:
                        large.append(f"{where}:{node.lineno}: {node.name} has {lines} lines")
    assert large == []


def test_importing_a_package_imports_nothing_heavy(projects):
    modules = [import_name(project["project"]["name"]) for project in projects.values()]
    # One process, one after the other: what an earlier one brought would be its own fault.
    code = (
        "import importlib, json, sys\n"
        "found = {}\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        f"    found[name] = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]\n"
        "print(json.dumps(found))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: [] for name in modules}


def test_every_public_name_is_there(projects):
    """``__all__`` is lazy in most packages: a name that leads nowhere would only show when used."""
    missing = []
    for project in projects.values():
        module = import_module(import_name(project["project"]["name"]))
        missing += [f"{module.__name__}.{name}" for name in module.__all__ if not hasattr(module, name)]
    assert missing == []


def test_every_implementation_is_listed_and_ok():
    code = "from marketgpt_core.cli import main; main(['plugins', '--json'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)
    listed = {(row["kind"], row["name"]) for row in rows if row["status"] == "ok"}
    for kind, one in registries().items():
        assert one.names(), f"no {kind} is installed"
        for name in one.names():
            assert (kind, name) in listed
            one.load(name)
    assert [
        row for row in rows if row["distribution"].startswith("marketgpt") and row["status"] != "ok"
    ] == []


def test_every_entry_point_leads_somewhere(projects):
    from pkgutil import resolve_name

    for folder, project in projects.items():
        groups = {
            **project["project"].get("entry-points", {}),
            "scripts": project["project"].get("scripts", {}),
        }
        for group, points in groups.items():
            for name, target in points.items():
                assert resolve_name(target) is not None, (folder.name, group, name)


def test_the_readme_says_how_to_run_the_demo_and_the_tests(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    for command in ("uv run marketgpt demo", "uv run pytest"):
        assert any(command in block for block in re.findall(r"```.*?```", text, flags=re.DOTALL)), command


def test_torch_stays_out_of_what_needs_none(projects):
    """From the metadata: what tokenizer, signals and monitoring bring, however deep."""
    for name in ("marketgpt-core", "marketgpt-tokenizer", "marketgpt-signals", "marketgpt-monitoring"):
        assert not {"torch", "deepspeed"} & _closure(name), name
    assert "torch" in _closure("marketgpt-models")


def _closure(distribution: str) -> set[str]:
    from importlib.metadata import PackageNotFoundError

    found: set[str] = set()
    waiting = [distribution]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        try:
            texts = requires(name) or []
        except PackageNotFoundError:
            continue
        for requirement in map(Requirement, texts):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting += [requirement.name]
    return found
