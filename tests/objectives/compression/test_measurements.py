"""What validation reports: context recovered, the loss per token, and the shape of the memory."""

import pytest
import torch
from torch import Tensor
from torchmetrics import MeanMetric

from llm2comp.data.batches import CompressionBatch
from llm2comp.objectives import Continuation, Distillation, Reconstruction, WeightedSum
from llm2comp.objectives.base import Measurement
from llm2comp.objectives.compression import CompressionObjective, Decoding
from llm2comp.objectives.compression.decoding import Predictions
from llm2comp.objectives.compression.measurements import context_recovered
from tests.objectives.compression.examples import make_batch, make_encoder, plain_examples
from tests.objectives.compression.test_objectives import NLL, RC, divergence


def mean(measurements: list[Measurement]) -> Tensor:
    """As the module takes it over the batches of a validation."""
    metric = MeanMetric()
    for measured in measurements:
        metric.update(measured.value, measured.weight)
    return metric.compute()


def split(batch: CompressionBatch, at: int) -> list[CompressionBatch]:
    fields = vars(batch).values()
    return [CompressionBatch(*(tensor[part] for tensor in fields)) for part in (slice(at), slice(at, None))]


def test_context_recovered_is_one_with_the_text_itself_zero_with_nothing_and_negative_with_worse():
    encoder, _ = make_encoder()
    decoding = Decoding(encoder, make_batch())
    decoding.__dict__["continuation"] = decoding.teacher
    assert context_recovered(decoding).value == 1
    decoding.__dict__["continuation"] = decoding.without_context
    assert context_recovered(decoding).value == 0
    worse = -3 * decoding.teacher.hidden_states
    decoding.__dict__["continuation"] = Predictions(worse, decoding.teacher.labels)
    assert context_recovered(decoding).value < -0.1


def test_over_batches_it_is_the_ratio_of_the_sums_over_all_tokens():
    encoder, original = make_encoder()
    batch = make_batch(texts=(5, 9, 3, 7), targets=(2, 3, 9, 1))
    with_memory, without = [], []
    for example in plain_examples(encoder, original, batch):
        p = example.teacher.exp()
        with_memory.append((p * (example.teacher - example.continuation)).sum())
        without.append((p * (example.teacher - example.without_context)).sum())
    expected = (1 - sum(with_memory) / sum(without)).detach()
    with torch.no_grad():
        for at in (1, 2, 3):
            measured = [context_recovered(Decoding(encoder, part)) for part in split(batch, at)]
            torch.testing.assert_close(mean(measured).double(), expected, rtol=1e-5, atol=1e-6)
    plain_mean = torch.stack([m.value for m in measured]).mean()
    assert (plain_mean - expected).abs() > 1e-3  # so the weights do matter here


@pytest.mark.parametrize(
    ("objective", "equation"),
    [(Reconstruction(), RC), (Continuation(), NLL), (Distillation(), divergence())],
    ids=["reconstruction", "continuation", "distillation"],
)
def test_the_loss_over_batches_is_the_mean_over_all_predicted_tokens(objective: CompressionObjective, equation):
    encoder, original = make_encoder()
    batch = make_batch(texts=(2, 12, 3, 7), targets=(2, 3, 9, 1))
    expected = equation(plain_examples(encoder, original, batch)).detach()
    with torch.no_grad():
        measured = [objective.measure(encoder, part)["loss"] for part in split(batch, 1)]
    torch.testing.assert_close(mean(measured).double(), expected, rtol=1e-5, atol=1e-6)


def test_a_sum_is_weighted_by_all_tokens_its_parts_predict():
    encoder, _ = make_encoder()
    objective = WeightedSum([Reconstruction(), Distillation()], [1.0, 1.0])
    with torch.no_grad():
        measured = objective.measure(encoder, make_batch(texts=(5, 8, 3), targets=(4, 2, 6)))
    assert measured["loss"].weight == (5 + 8 + 3) + (4 + 2 + 6)


def test_every_objective_measures_the_same_things_but_for_the_loss():
    encoder, _ = make_encoder()
    batch = make_batch()
    with torch.no_grad():
        first, *others = (o.measure(encoder, batch) for o in (Reconstruction(), Continuation(), Distillation()))
    names = {"loss", "context_recovered", "memory_norm", "memory_correlation"}
    for measured in (first, *others):
        assert set(measured) == names
        for name in names - {"loss"}:
            assert measured[name].value == first[name].value
            assert not measured[name].value.isnan()


def test_the_memory_norm_is_that_of_the_states_the_encoder_gives():
    encoder, _ = make_encoder(scale=10.0)
    batch = make_batch()
    states = encoder.compress(batch.text_ids, batch.text_mask)
    measured = Continuation().measure(encoder, batch)["memory_norm"].value
    torch.testing.assert_close(measured.double(), states.square().mean(-1).sqrt().mean(), rtol=1e-6, atol=0)


def test_one_memory_token_has_no_correlation():
    encoder, _ = make_encoder(k=1)
    assert "memory_correlation" not in Continuation().measure(encoder, make_batch())
