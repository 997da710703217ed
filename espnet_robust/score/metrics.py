"""WER, CER and accuracy: how an error rate is named and shown in tables and plots.

Everything is counted as errors, in per cent of the units in the references (words, characters,
labels). An accuracy is 100 minus that rate; only this module uses that.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """How an error rate is shown.

    Args:
        field: of ``ConditionScore``; the report's files are named after it.
        name: in tables.
        title: of a section and of the vertical axis.
        higher_is_better: 100 minus the error rate rather than the error rate.
        columns: what the CSV file says of a condition: fields of ``ConditionScore``.
    """

    field: str
    name: str
    title: str
    higher_is_better: bool = False
    columns: tuple[str, ...] = ()

    def value(self, rate: float) -> float:
        """The metric at an error rate, both in per cent.

        >>> WER.value(30.0), ACCURACY.value(30.0)
        (30.0, 70.0)
        """
        return 100 - rate if self.higher_is_better else rate

    def difference(self, rates: float) -> float:
        """The difference of the metric, given the difference of two error rates, in points.

        >>> WER.difference(-5.0), ACCURACY.difference(-5.0)
        (-5.0, 5.0)
        """
        return 0 - rates if self.higher_is_better else rates


WER = Metric("wer", "WER", "Word error rate, %", columns=("words", "wer", "cer"))
CER = Metric("cer", "CER", "Character error rate (with spaces), %")
ACCURACY = Metric("accuracy", "accuracy", "Accuracy, %", True, columns=("utterances", "accuracy"))
METRICS = (WER, CER, ACCURACY)
