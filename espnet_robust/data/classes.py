"""Classes of a labelled corpus, as ESPnet's classification task names them.

A label is one word, or several slots: ``activate|lights|kitchen`` is an action, an object and a
location. One slot is ESPnet's ``multi-class``. Several slots are ``multi-label``: the best class of
each slot is taken, so that combinations unseen in training can be recognised too. A label is
correct if all of its slots are (as for intents in SUPERB, arXiv:2105.01051).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from espnet_robust.common.errors import DataDirError
from espnet_robust.data.words import words

SEPARATOR = "|"


@dataclass(frozen=True)
class Classes:
    """The classes of each slot, sorted.

    Args:
        slots: as in (("close", "open"), ("door", "window")).
    """

    slots: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, labels: Mapping[str, str], where: str) -> "Classes":
        """The classes that occur in ``{utterance id: label}``.

        Raises:
            DataDirError: a label has blanks, labels differ in their number of slots, or all slots
                have fewer than two classes; the message begins with ``where``.
        """
        rows = {utt: label.split(SEPARATOR) for utt, label in labels.items()}
        number = len(next(iter(rows.values()), ()))
        for utt, row in rows.items():
            if len(row) != number or any(words(c) != [c] for c in row):
                raise DataDirError(
                    f"{where}: {utt} has the label {labels[utt]!r}; expected {number} words"
                    f" joined by {SEPARATOR}, without blanks, as the first utterance has"
                )
        slots = tuple(tuple(sorted(set(slot))) for slot in zip(*rows.values(), strict=True))
        if not any(len(slot) > 1 for slot in slots):
            raise DataDirError(f"{where}: fewer than two classes, so there is nothing to classify")
        return cls(slots)

    @property
    def tokens(self) -> list[str]:
        """One name per class, slot after slot, with the slot's number if there are several.

        >>> Classes((("no", "yes"),)).tokens
        ['no', 'yes']
        >>> Classes((("off", "on"), ("lamp",))).tokens
        ['0:off', '0:on', '1:lamp']
        """
        if len(self.slots) == 1:
            return list(self.slots[0])
        return [f"{i}:{name}" for i, slot in enumerate(self.slots) for name in slot]

    @classmethod
    def from_tokens(cls, tokens: Sequence[str], multi_label: bool) -> "Classes":
        """The inverse of ``tokens``."""
        if not multi_label:
            return cls((tuple(tokens),))
        slots: dict[str, list[str]] = {}
        for token in tokens:
            slot, _, name = token.partition(":")
            slots.setdefault(slot, []).append(name)
        return cls(tuple(tuple(slot) for slot in slots.values()))

    def words(self, label: str) -> str:
        """The label in the form that ESPnet's task reads: its tokens, separated by blanks.

        >>> Classes((("off", "on"), ("lamp",))).words("on|lamp")
        '0:on 1:lamp'
        """
        row = label.split(SEPARATOR)
        return label if len(row) == 1 else " ".join(f"{i}:{name}" for i, name in enumerate(row))

    def unknown(self, label: str) -> list[str]:
        """The slots of a label with unknown classes; [label] if the number of slots is wrong."""
        row = label.split(SEPARATOR)
        if len(row) != len(self.slots):
            return [label]
        return [name for name, slot in zip(row, self.slots, strict=True) if name not in slot]
