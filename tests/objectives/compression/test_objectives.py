"""Each objective is the paper's equation, in loss and gradient."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from llm2comp.data.batches import CompressionBatch
from llm2comp.encoder.config import EncoderConfig
from llm2comp.errors import UserError
from llm2comp.objectives import Continuation, Distillation, Reconstruction, WeightedSum
from llm2comp.objectives.compression import CompressionObjective
from tests.objectives.compression.examples import Plain, make_batch, make_encoder, plain_examples
from tests.objectives.compression.test_decoding import count

Equation = Callable[[list[Plain]], Tensor]


def negative_log_likelihood(said: str, labels: str) -> Equation:
    def loss(examples: list[Plain]) -> Tensor:
        picked = [getattr(e, said)[t, y] for e in examples for t, y in enumerate(getattr(e, labels))]
        return -torch.stack(picked).mean()

    return loss


def divergence(temperature: float = 1.0, reverse: bool = False) -> Equation:
    def loss(examples: list[Plain]) -> Tensor:
        total, tokens = torch.zeros((), dtype=torch.float64), 0
        for example in examples:
            q = (example.continuation / temperature).softmax(-1)
            p = (example.teacher / temperature).softmax(-1)
            p, q = (q, p) if reverse else (p, q)
            total = total + (p * (p.log() - q.log())).sum() * temperature**2
            tokens += len(p)
        return total / tokens

    return loss


NLL = negative_log_likelihood("continuation", "target")
RC = negative_log_likelihood("reconstruction", "text")
EQUATIONS: dict[str, tuple[CompressionObjective, Equation]] = {
    "reconstruction": (Reconstruction(), RC),
    "continuation": (Continuation(), NLL),
    "distillation": (Distillation(), divergence()),
    "distillation T=2": (Distillation(temperature=2.0), divergence(2.0)),
    "distillation reverse": (Distillation(reverse=True), divergence(reverse=True)),
    "distillation reverse T=0.5": (Distillation(0.5, True), divergence(0.5, True)),
    "sum": (
        WeightedSum([Reconstruction(), Continuation(), Distillation()], [0.5, 2.0, 1.5]),
        lambda examples: 0.5 * RC(examples) + 2 * NLL(examples) + 1.5 * divergence()(examples),
    ),
}


@pytest.mark.parametrize("model_type", ["llama", "gpt_neox", "gemma3_text"])
@pytest.mark.parametrize("name", EQUATIONS)
def test_loss_and_gradient_are_those_of_the_equation(name: str, model_type: str):
    objective, equation = EQUATIONS[name]
    encoder, original = make_encoder(model_type)
    batch = make_batch(left=1, right=1)
    trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    expected = equation(plain_examples(encoder, original, batch))
    loss = objective(encoder, batch)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-9)
    expected_grads, grads = torch.autograd.grad(expected, trained), torch.autograd.grad(loss, trained)
    assert len(trained) > 5
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        assert expected_grad.abs().max() > 1e-6
        torch.testing.assert_close(grad, expected_grad, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", ["reconstruction", "distillation"])
def test_full_training_keeps_the_original_as_decoder(name: str):
    objective, equation = EQUATIONS[name]
    encoder, original = make_encoder(full=True)
    batch = make_batch()
    expected = equation(plain_examples(encoder, original, batch))
    torch.testing.assert_close(objective(encoder, batch), expected, rtol=1e-6, atol=1e-9)


def test_the_loss_is_a_mean_over_tokens_not_over_texts():
    encoder, _ = make_encoder()
    batch = make_batch(targets=(1, 1, 8))
    last = CompressionBatch(*(getattr(batch, name)[2:] for name in vars(batch)))
    first = CompressionBatch(*(getattr(batch, name)[:2] for name in vars(batch)))
    for objective in (Continuation(), Distillation()):
        mean = (2 * objective(encoder, first) + 8 * objective(encoder, last)) / 10
        torch.testing.assert_close(objective(encoder, batch), mean)


def test_a_sum_makes_each_pass_once(monkeypatch: pytest.MonkeyPatch):
    encoder, _ = make_encoder()
    calls = count(encoder.backbone, monkeypatch)
    objective = WeightedSum([Reconstruction(), Continuation(), Distillation(), Distillation(2.0, True)], [1, 1, 1, 1])
    objective(encoder, make_batch())
    assert calls == {"encode": 1, "decode": 3}  # from memory the text and its continuation, from the text the latter
    WeightedSum([Continuation(), Continuation()], [1, 1])(encoder, make_batch())
    assert calls == {"encode": 2, "decode": 4}


def test_a_sum_of_sums_and_weights_of_zero():
    encoder, _ = make_encoder()
    batch = make_batch()
    inner = WeightedSum([Continuation(), Reconstruction()], [1.0, 0.0])
    nested = WeightedSum([inner, Distillation()], [2.0, 1.0])
    expected = 2 * Continuation()(encoder, batch) + Distillation()(encoder, batch)
    torch.testing.assert_close(nested(encoder, batch), expected)
    assert (nested.reads_text, nested.reads_continuation, nested.has_teacher) == (True, True, True)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float):
    with pytest.raises(UserError, match="temperature of distillation must be above 0"):
        Distillation(temperature=temperature)


@pytest.mark.parametrize(("objectives", "weights"), [([], []), ([Continuation()], []), ([Continuation()], [1.0, 2.0])])
def test_weights_of_another_number_are_refused(objectives: list[CompressionObjective], weights: list[float]):
    with pytest.raises(UserError, match=f"{len(objectives)} and {len(weights)} given"):
        WeightedSum(objectives, weights)


@pytest.mark.parametrize("objective", [Reconstruction(), Continuation(), Distillation()])
def test_an_encoder_without_memory_tokens_is_refused(objective: CompressionObjective):
    with pytest.raises(UserError, match="num_memory_tokens to 1 or more"):
        objective.check(EncoderConfig(num_memory_tokens=0))
    objective.check(EncoderConfig(num_memory_tokens=1))
