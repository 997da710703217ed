import pytest

from espnet_robust.common.config import read_yaml
from espnet_robust.common.experiment import CHECKOUT, CONF
from espnet_robust.corpora import CORPORA
from espnet_robust.publish.run_facts import Material, read_facts


def test_every_corpus_has_a_title_and_a_licence():
    known = read_yaml(CONF / "licences.yaml")["corpora"]
    assert known.keys() == set(CORPORA)
    assert all(Material(**entry).licence for entry in known.values())
    recipes = {path.parent.parent.name for path in (CHECKOUT / "egs").glob("*/*/run.sh")}
    assert recipes <= known.keys()


@pytest.mark.parametrize(
    ("teacher", "name", "licence"),
    [
        ("facebook/hubert-base-ls960", "facebook/hubert-base-ls960", "Apache 2.0"),
        ("/corpora/models/hubert", "hubert", "unknown here"),
        ("somebody/model", "somebody/model", "unknown here"),
    ],
)
def test_teachers(trained, recipe, teacher, name, licence, tmp_path):
    for file in ("scores.json", "counts.tsv"):  # of a system without a student
        (tmp_path / file).write_bytes((trained / file).read_bytes())
    facts = read_facts(tmp_path, recipe, "synthetic", teacher, "./run.sh", "other")
    assert facts.teacher == (name, licence) and not facts.provenance
    assert [m.title for m in facts.data][1:] == ["synthetic noises", "simulated rooms"]


def test_the_teacher_of_a_recipe_is_named_by_its_place(trained):
    recipe = CHECKOUT / "egs/mini/asr1"
    facts = read_facts(trained, recipe, "synthetic", "teacher", "./run.sh", "mit")
    assert facts.teacher[0] == "facebook/hubert-base-ls960"  # the student knows better
    assert facts.recipe == "egs/mini/asr1" and facts.licence == "mit"
