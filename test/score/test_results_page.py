import pytest

from espnet_robust.common.errors import UserError
from espnet_robust.score.results_page import facts_here, write_results

FACTS = {"Date": "2026-11-26", "commit": "abc1234"}
TABLE = "| system | WER |\n|---|---:|\n| a | 1.0 |\n"


def test_what_people_wrote_stays(tmp_path):
    path = tmp_path / "mini/asr1/RESULTS.md"
    path.parent.mkdir(parents=True)
    write_results(path, "short", [TABLE], "./run.sh", FACTS)
    first = path.read_text()
    assert first.startswith("# Results of mini/asr1\n\n<!-- report: short -->\n")
    assert "    ./run.sh\n" in first and "commit abc1234" in first and "| a | 1.0 |" in first
    written = first.replace("# Results", "Mine above.\n\n# Results") + "\nMine below.\n"
    path.write_text(written)
    write_results(path, "full", [TABLE.replace("1.0", "2.0")], "./run.sh --budget full", FACTS)
    write_results(path, "short", [TABLE.replace("1.0", "3.0")], "./run.sh", FACTS)
    again = path.read_text()
    kept = written.replace("| a | 1.0 |", "| a | 3.0 |").rstrip()
    assert again.startswith(kept) and "| a | 2.0 |" in again and "1.0" not in again
    write_results(path, "short", [TABLE.replace("1.0", "3.0")], "./run.sh", FACTS)
    assert path.read_text() == again


@pytest.mark.parametrize(
    "text",
    ["<!-- report: short -->\n", "<!-- end of report: short -->\n",
     "<!-- end of report: short -->\n<!-- report: short -->\n",
     "<!-- report: short -->\n<!-- end of report: short -->\n" * 2],
)  # fmt: skip
def test_half_a_block(tmp_path, text):
    path = tmp_path / "RESULTS.md"
    path.write_text(text)
    with pytest.raises(UserError, match="once each, found . and .; restore or remove them"):
        write_results(path, "short", [TABLE], "./run.sh", FACTS)
    assert path.read_text() == text


@pytest.mark.parametrize("name", ["", "a b", "a-->", "--"])
def test_names(tmp_path, name):
    with pytest.raises(UserError, match="cannot name a run"):
        write_results(tmp_path / "RESULTS.md", name, [TABLE], "./run.sh", FACTS)


def test_facts():
    assert {"Date", "commit", "machine", "Python", "torch"} <= facts_here().keys()
