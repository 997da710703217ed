import numpy as np
import pytest

from espnet_robust.common.errors import UserError
from espnet_robust.score.counts_file import (
    HEADER,
    UtteranceErrors,
    joined,
    read_counts,
    write_counts,
)


def errors(ids=("u1", "u2"), speakers=("s1", "-")):
    words, chars = np.array([[2, 1, 0, 0], [0, 0, 1, 0]]), np.array([[9, 3, 0, 1], [0, 0, 4, 0]])
    return UtteranceErrors(ids, speakers, words, chars)


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "counts.tsv"
    write_counts(path, {"clean": errors(), "clip": errors(("u3", "u4"))})
    assert path.read_text().splitlines()[:3] == [
        "\t".join(HEADER),
        "clean\tu1\ts1\t2\t1\t0\t0\t9\t3\t0\t1",
        "clean\tu2\t-\t0\t0\t1\t0\t0\t0\t4\t0",
    ]
    read = read_counts(path)
    assert list(read) == ["clean", "clip"]
    assert (read["clip"].ids, read["clip"].speakers) == (("u3", "u4"), ("s1", "-"))
    assert np.array_equal(read["clean"].words, errors().words)
    assert np.array_equal(read["clean"].chars, errors().chars)


def test_joined_is_sorted():
    both = joined([errors(("u2", "u4")), errors(("u1", "u3"))])
    assert both.ids == ("u1", "u2", "u3", "u4")
    assert both.words[:, 0].tolist() == [2, 2, 0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line must be"),
        ("condition\tutterance\twords\tsub\tins\tdel\n", "first line must be"),
        ("\t".join(HEADER) + "\nclean\tu1\t2\n", "not a table of counts (a line is too short"),
        ("\t".join(HEADER) + "\nclean\tu\ts" + "\tx" * 8 + "\n", "not a table of counts"),
        ("\t".join(HEADER) + "\nclean\tu\ts" + "\t-1" * 8 + "\n", "one is below 0"),
    ],
)
def test_bad_counts(tmp_path, text, message):
    path = tmp_path / "counts.tsv"
    path.write_text(text)
    with pytest.raises(UserError) as e:
        read_counts(path)
    assert message in str(e.value) and str(e.value).endswith("score again")
    assert "\n" not in str(e.value)


def test_counts_that_are_no_text(tmp_path):
    (tmp_path / "counts.tsv").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8 text"):
        read_counts(tmp_path / "counts.tsv")


def test_a_condition_twice(tmp_path):
    row = "\tu1\ts" + "\t1" * 8 + "\n"
    path = tmp_path / "counts.tsv"
    path.write_text("\t".join(HEADER) + f"\na{row}b{row}a{row}")
    with pytest.raises(UserError, match="condition 'a' is there twice"):
        read_counts(path)


def test_missing_counts(tmp_path):
    with pytest.raises(UserError, match=r"counts\.tsv: cannot be read"):
        read_counts(tmp_path / "counts.tsv")
