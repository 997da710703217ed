"""espnet-robust: all commands under one name."""

import runpy
import sys
from collections.abc import Sequence

from espnet_robust.common.cli import run, summary
from espnet_robust.common.errors import ConfigError

# Commands in the order of the data flow: name -> module. The help shows each module's first line.
COMMANDS = {
    "Corpora": {
        "download": "espnet_robust.bin.download",
        "prepare_corpus": "espnet_robust.bin.prepare_corpus",
        "prepare_noise": "espnet_robust.bin.prepare_noise",
        "link_data": "espnet_robust.bin.link_data",
    },
    "Data dirs": {
        "data validate": "espnet_robust.bin.validate_data_dir",
        "data fix": "espnet_robust.bin.fix_data_dir",
        "data subset": "espnet_robust.bin.subset_data_dir",
        "data combine": "espnet_robust.bin.combine_data_dirs",
        "data cut_segments": "espnet_robust.bin.cut_segments",
        "split_conditions": "espnet_robust.bin.split_conditions",
        "list_conditions": "espnet_robust.bin.list_conditions",
    },
    "Distortion": {
        "show_distortions": "espnet_robust.bin.show_distortions",
        "distort_data_dir": "espnet_robust.bin.distort_data_dir",
        "make_protocol": "espnet_robust.bin.make_protocol",
        "make_shards": "espnet_robust.bin.make_shards",
        "remake_utterance": "espnet_robust.bin.remake_utterance",
    },
    "Configuration": {
        "conf_dir": "espnet_robust.bin.conf_dir",
        "resolve": "espnet_robust.bin.resolve",
        "check_recipe": "espnet_robust.bin.check_recipe",
        "run_jobs": "espnet_robust.bin.run_jobs",
        "train": "espnet_robust.bin.train",
        "launch": "espnet_robust.bin.launch",
    },
    "Distillation": {
        "pretrain_teacher": "espnet_robust.bin.pretrain_teacher",
        "describe_model": "espnet_robust.bin.describe_model",
        "fill_targets": "espnet_robust.bin.fill_targets",
        "distill_train": "espnet_robust.bin.distill_train",
        "export_student": "espnet_robust.bin.export_student",
        "probe_domain": "espnet_robust.bin.probe_domain",
        "borrow_student": "espnet_robust.bin.borrow_student",
    },
    "Recognisers and classifiers on a student": {
        "make_tokens": "espnet_robust.bin.make_tokens",
        "make_classes": "espnet_robust.bin.make_classes",
        "run": "espnet_robust.run",
        "decode": "espnet_robust.bin.decode",
        "classify": "espnet_robust.bin.classify",
    },
    "On a device": {
        "export": "espnet_robust.bin.export",
        "compare_exports": "espnet_robust.bin.compare_exports",
        "transcribe": "espnet_robust.bin.transcribe",
        "bench": "espnet_robust.bin.bench",
    },
    "Results": {
        "score": "espnet_robust.bin.score",
        "average_folds": "espnet_robust.bin.average_folds",
        "list_systems": "espnet_robust.bin.list_systems",
        "report": "espnet_robust.bin.report",
        "demo": "espnet_robust.bin.demo",
    },
    "Publication": {
        "pack": "espnet_robust.bin.pack",
        "upload": "espnet_robust.bin.upload",
    },
}
ALL = {name: module for group in COMMANDS.values() for name, module in group.items()}
HELP = ("-h", "--help")


def main(cmd: Sequence[str] | None = None) -> None:
    """Print help, or run the command named by the first words."""
    args = list(sys.argv[1:] if cmd is None else cmd)
    run(lambda: _answer(args))


def _answer(args: list[str]) -> None:
    if args and args[0] in HELP:
        print(help_text())
    elif args and _below(args[0]) and (len(args) == 1 or args[1] in HELP):
        print(help_text(_below(args[0])))
    else:
        _become(args)


def _below(word: str) -> list[str]:
    """The two-word commands that begin with this word."""
    return [name for name in ALL if name.startswith(f"{word} ")]


def help_text(names: Sequence[str] = tuple(ALL)) -> str:
    """The commands by group, each with its summary; only those in ``names``."""
    width = max(map(len, names)) + 2
    lines = ["usage: espnet-robust SUBCOMMAND [options]", ""]
    lines += [
        "Distortion-robust distillation of self-supervised speech models, in the order of the"
    ]
    lines += ["data flow. SUBCOMMAND --help shows its options."]
    for title, group in COMMANDS.items():
        shown = [name for name in group if name in names]
        if shown:
            lines += ["", f"{title}:"]
            lines += [f"  {name:{width}}{summary(group[name])}" for name in shown]
    return "\n".join(lines)


def _become(args: list[str]) -> None:
    """Run the command's module as ``python -m`` does, so that processes it spawns can import it."""
    for words in (2, 1):
        name = " ".join(args[:words])
        if name in ALL and len(args) >= words:
            sys.argv = [name, *args[words:]]
            runpy.run_module(ALL[name], run_name="__main__", alter_sys=True)
            return
    raise ConfigError(_unknown(args))


def _unknown(args: list[str]) -> str:
    """The message for these arguments, with the nearest command."""
    if not args:
        return "name a subcommand; espnet-robust --help lists them"
    given = " ".join(args[: 2 if _below(args[0]) else 1])
    modules = {module.rpartition(".")[2]: name for name, module in ALL.items()}
    if given in modules:  # its name after espnet_robust.bin
        return f"no subcommand {given!r}; it is {modules[given]!r}"
    from espnet_robust.common.config import nearest

    return f"no subcommand {given!r}{nearest(given, list(ALL))}"


if __name__ == "__main__":
    main()
