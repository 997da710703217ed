"""The configurations that come with the package, in a checkout; test_wheel.py has the rest."""

from espnet_robust.bin.conf_dir import main
from espnet_robust.common.shipped import conf_dir


def test_the_checkout_has_its_own(root, capsys):
    assert conf_dir() == root / "conf"
    main([])
    assert capsys.readouterr().out == f"{root}/conf\n"
