"""Who may import whom: a file's folder says it. The table is that of CONTRIBUTING.md."""

import ast
import re
from pathlib import Path

import pytest

MAY_IMPORT = {
    "common": set(),
    "data": {"common"},
    "models": {"common"},
    "corpora": {"common", "data"},
    "distortion": {"common", "data"},
    "score": {"common", "data"},
    "cluster": {"common", "distortion"},
    "pretrain": {"common", "data", "distortion", "models"},
    "distill": {"common", "data", "distortion", "models"},
    "plugin": {"common", "data", "distortion", "models"},
    "recognise": {"common", "data", "models", "plugin"},
    "device": {"common", "data", "models", "score"},
    "espnet3": {"common", "data", "distortion", "plugin", "score"},
    "live": {"common", "data", "distortion", "recognise", "score"},
    "publish": {"common", "data", "score"},
    "recipe": {"common", "data", "distortion", "publish", "recognise", "score"},
    "doors": {"common", "plugin"},  # register() and run.py
}
# Heavy packages, and the wings that may import them; bin/ imports what it calls.
NEEDS = {
    "torch": {"models", "pretrain", "distill", "plugin", "recognise", "device"},
    "transformers": {"models", "pretrain", "distill"},
    "espnet2": {"distill", "espnet3", "plugin", "publish", "recognise"},
    "espnet3": {"espnet3"},
    "espnet": {"recognise"},
    "torchaudio": set(),
    "gradio": {"live"},
}


def wing(module: str) -> str:
    """The folder of ``espnet_robust.FOLDER.module``.

    >>> [wing(f"espnet_robust{m}") for m in (".models.student", ".run", "", ".__main__")]
    ['models', 'doors', 'doors', 'bin']
    """
    first = module.split(".")[1] if "." in module else ""
    return {"": "doors", "run": "doors", "__main__": "bin"}.get(first, first)


def modules(root: Path) -> dict[str, set[str]]:
    """{module: the modules that it imports, wherever in the file}."""
    found = {}
    for path in sorted((root / "espnet_robust").rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        imports = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imports |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: imports are absolute here"
                parent = (root / node.module.replace(".", "/")).is_dir()
                imports |= (
                    {f"{node.module}.{alias.name}" for alias in node.names if parent}
                    | {node.module}
                    if parent
                    else {node.module}
                )
        found[name] = imports
    return found


@pytest.fixture(scope="module")
def imports(root):
    return modules(root)


def test_every_module_has_a_place(imports):
    assert {wing(name) for name in imports} == {*MAY_IMPORT, "bin"}


def test_no_wing_imports_above_itself(imports):
    wrong = [
        f"{name} imports {other}"
        for name, others in imports.items()
        for other in sorted(others)
        if other.startswith("espnet_robust.")
        and wing(name) not in ("bin", wing(other))
        and wing(other) not in MAY_IMPORT[wing(name)]
    ]
    assert not wrong


def test_heavy_packages_stay_where_they_are_needed(imports):
    wrong = [
        f"{name} imports {other}"
        for name, others in imports.items()
        for other in sorted(others)
        for package, wings in NEEDS.items()
        if other.split(".")[0] == package and wing(name) not in {*wings, "bin"}
    ]
    assert not wrong


def test_no_circle(imports):
    ours = {
        name: {o for o in others if o in imports and o != name} for name, others in imports.items()
    }
    while leaves := [name for name, others in ours.items() if not others]:
        for name in leaves:
            del ours[name]
        ours = {name: others - set(leaves) for name, others in ours.items()}
    assert not ours


def test_contributing_shows_the_table(root):
    text = (root / "CONTRIBUTING.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)/` \|[^|]*\|([^|]*)\|$", text, re.MULTILINE))
    shown = {name: set(re.findall(r"`(\w+)/`", row)) for name, row in rows.items()}
    assert shown == {
        name: others - {"common"} for name, others in MAY_IMPORT.items() if name != "doors"
    }
