"""What the logged metrics are called where people read them."""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Metric:
    """How a metric is shown: its name and unit, `scale` times its value, and whether more is `better`."""

    label: str
    unit: str = ""
    better: int = 0  # 1: higher is better, -1: lower is better, 0: neither
    scale: float = 1.0
    decimals: int = 3

    @property
    def title(self) -> str:
        """The label with its unit, as on an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def show(self, value: float) -> str:
        """`value` with its unit's scale and decimals; numbers too large or small for them in powers of ten."""
        value *= self.scale
        plain = value == 0 or 10**-self.decimals <= abs(value) < 10**5
        return f"{value:.{self.decimals}f}" if plain or abs(value) == inf else f"{value:.1e}"


METRICS = {
    "train/loss": Metric("training loss", "nats", better=-1),
    "train/tokens_per_second": Metric("training speed", "tokens/s", better=1, decimals=0),
    "train/data_wait": Metric("time waited for data", "%", better=-1, scale=100, decimals=1),
    "train/mfu": Metric("model FLOPs utilisation", "%", better=1, scale=100, decimals=1),
    "val/loss": Metric("loss", "nats", better=-1),
    "val/context_recovered": Metric("context recovered", "%", better=1, scale=100, decimals=1),
    "val/masked_accuracy": Metric("masked tokens predicted", "%", better=1, scale=100, decimals=1),
    "val/autoencoding_loss": Metric("auto-encoding loss", "nats", better=-1),
    "val/autoregression_loss": Metric("auto-regression loss", "nats", better=-1),
    "val/retrieval_mrr": Metric("retrieval MRR@10", "%", better=1, scale=100, decimals=1),
    "val/question_mrr": Metric("question MRR@10", "%", better=1, scale=100, decimals=1),
    "val/sts_spearman": Metric("STS-B Spearman", "%", better=1, decimals=1),
    "val/accuracy": Metric("in-batch accuracy", "%", better=1, scale=100, decimals=1),
    "val/memory_correlation": Metric("memory correlation", better=-1),
    "val/effective_dimension": Metric("effective dimension", better=1, decimals=1),
    "val/memory_norm": Metric("memory norm", decimals=2),
}


def metric(name: str) -> Metric:
    """How the metric logged as `name` is shown; one that is not known, by that name without its `val/`."""
    return METRICS.get(name) or Metric(name.split("/", 1)[-1].replace("_", " "))
