"""What bfloat16 costs in quality: STS-B's test split scored with the same encoder in bfloat16 and in float32.

With `--model FOLDER`, of the encoder in that folder; otherwise of the bare language model with mean pooling. The data
is read from the mirror under LLM2COMP_DATA.
"""

from benchmarks.harness import Ratio
from benchmarks.results import Comparison, Result
from benchmarks.workbench import Workbench
from llm2comp import Encoder
from llm2comp.evaluation.sts import ScoredPair, spearman, sts_pairs

POINTS = 0.1
STAND_IN = [ScoredPair("a text is read", "it reads " * i, float(i)) for i in range(1, 6)]


def run(bench: Workbench) -> Result:
    """Score both; no comparison is made where the data is not there."""
    result = Result("precision", bench.settings())
    pairs = STAND_IN if bench.quick else sts_pairs("test")
    if pairs is None:
        print("precision: LLM2COMP_DATA names no folder with STS-B; not measured")
        return result
    for dtype in ("bfloat16", "float32"):
        score = spearman(Encoder.from_pretrained(bench.model, dtype=dtype), pairs)
        result.numbers[f"STS-B test, {dtype}"] = score
    apart = abs(result.numbers["STS-B test, bfloat16"] - result.numbers["STS-B test, float32"])
    result.comparisons.append(
        Comparison("STS-B test, points between bfloat16 and float32", Ratio(apart, apart, apart), POINTS, at_most=True)
    )
    return result
