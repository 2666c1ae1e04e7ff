"""How all that is measured of a run is called and shown: logged metrics, scores and geometry."""

from dataclasses import replace

from llm2comp.reporting.metric_names import Metric, metric
from llm2comp.reporting.results import RunResults
from llm2comp.reporting.tables.task_names import short_name

SCORE = "score/"
GEOMETRY = "geometry/"
STS_TEST = "sts_test_spearman"


def measured(results: RunResults) -> dict[str, float]:
    """All numbers of a finished run by name: of metrics as logged, of others with what they are before it."""
    test = {} if results.sts_test_spearman is None else {STS_TEST: results.sts_test_spearman}
    scores = {f"{SCORE}{task}": score for task, score in results.scores.items()}
    return {**results.metrics, **test, **scores, **{f"{GEOMETRY}{name}": n for name, n in results.geometry.items()}}


def measure(name: str) -> Metric:
    """How the number named so by `measured` is shown."""
    if name == STS_TEST:
        return Metric("STS-B test Spearman", "%", better=1, decimals=2)
    if name.startswith(SCORE):
        return Metric(short_name(name.removeprefix(SCORE)), "%", better=1, decimals=2)
    if name == "val/loss":  # beside the training loss
        return replace(metric(name), label="held-out loss")
    return metric(name)
