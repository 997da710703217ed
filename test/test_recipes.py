"""What every recipe has: a short run.sh, a README, a place in the list of recipes, a test."""

import shutil
import subprocess


def test_every_recipe(root):
    recipes = sorted(path.parent for path in root.glob("egs/*/*/run.sh"))
    assert len(recipes) >= 10
    listed = (root / "README.md").read_text()
    tests = "".join(path.read_text() for path in (root / "test/recipes").glob("test_*.py"))
    for recipe in recipes:
        name = recipe.relative_to(root).as_posix()
        assert f"({name}/README.md)" in listed, name
        assert (recipe / "README.md").read_text().startswith(f"# {name.removeprefix('egs/')}\n")
        assert f'"{name}"' in tests, name
        assert len((recipe / "run.sh").read_text().splitlines()) <= 40, name
        assert (recipe / "run.sh").stat().st_mode & 0o111 and (recipe / "local/data.sh").exists()


def test_no_script_is_copied(root):
    scripts = [
        *root.glob("egs/*/*.sh"),
        *root.glob("egs/*/*/*.sh"),
        *root.glob("egs/*/*/local/*.sh"),
    ]
    bodies = [path.read_text() for path in {path.resolve() for path in scripts}]
    assert len(bodies) == len(set(bodies)) > 15


def test_a_colon_in_the_path_is_refused(root, tmp_path):
    """PATH and PYTHONPATH cannot hold it."""
    checkout = tmp_path / "12:30"
    for folder in ("utils", "egs/TEMPLATE"):
        shutil.copytree(root / folder, checkout / folder)
    (checkout / "local").mkdir()
    (checkout / "local/data.sh").touch(0o755)
    done = subprocess.run(
        [checkout / "egs/TEMPLATE/asr1/asr.sh"], cwd=checkout, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "12:30: PATH and PYTHONPATH cannot hold" in done.stderr
