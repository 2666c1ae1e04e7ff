"""Losses by chunks are those of whole logits, value and gradient, in a bounded extra memory."""

import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from llm2comp.backbone.head import LMHead
from llm2comp.objectives import token_losses
from llm2comp.objectives.token_losses import cross_entropy, kl_divergence

N, H, V = 23, 16, 50

HEADS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bias": {"bias": True},
    "scale": {"scale": 0.25},
    "softcap": {"softcap": 2.0},
    "all": {"bias": True, "scale": 1.5, "softcap": 3.0},
}
LOSSES = ["cross_entropy", "forward", "reverse", "forward T=2", "reverse T=0.5"]


def make_head(kind: str = "plain", dtype: torch.dtype = torch.float64) -> LMHead:
    torch.manual_seed(0)
    options = dict(HEADS[kind])
    weight = torch.randn(V, H, dtype=torch.float64)
    bias = torch.randn(V, dtype=torch.float64).to(dtype) if options.pop("bias", False) else None
    return LMHead(weight.to(dtype), bias, **options)


def make_states(n: int = N, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Student states [n, H] that want a gradient, teacher states [n, H] and labels [n]."""
    generator = torch.Generator().manual_seed(1)
    student, teacher = (torch.randn(n, H, generator=generator, dtype=torch.float64).to(dtype) for _ in range(2))
    return student.requires_grad_(), teacher, torch.randint(V, (n,), generator=generator)


def plain_logits(states: Tensor, head: LMHead) -> Tensor:
    logits = states @ head.weight.to(states).T
    logits = head.scale * (logits if head.bias is None else logits + head.bias.to(states))
    return logits if head.softcap is None else head.softcap * torch.tanh(logits / head.softcap)


def plain(name: str, student: Tensor, teacher: Tensor, labels: Tensor, head: LMHead) -> Tensor:
    """The definitions, a token at a time."""
    if len(student) == 0:
        return student.sum()
    temperature = float(name.partition("T=")[2] or 1)
    total = student.new_zeros(())
    for state, other, label in zip(student, teacher, labels, strict=True):
        q = (plain_logits(state, head) / temperature).softmax(-1)
        p = (plain_logits(other, head) / temperature).softmax(-1)
        if name == "cross_entropy":
            total = total - q[label].log()
        elif name.startswith("forward"):
            total = total + temperature**2 * (p * (p / q).log()).sum()
        else:
            total = total + temperature**2 * (q * (q / p).log()).sum()
    return total / len(student)


def chunked(name: str, student: Tensor, teacher: Tensor, labels: Tensor, head: LMHead) -> Tensor:
    if name == "cross_entropy":
        return cross_entropy(student, labels, head)
    temperature = float(name.partition("T=")[2] or 1)
    return kl_divergence(student, teacher, head, temperature, reverse=name.startswith("reverse"))


@pytest.fixture(params=[1, 7, 23, 64])
def tokens_a_chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Chunks of one token, chunks that leave a rest, exactly one chunk, and one that is not full."""
    monkeypatch.setattr(token_losses, "CHUNK_ELEMENTS", {"cpu": request.param * V})
    return request.param


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient_are_those_of_the_definition(name: str, kind: str, tokens_a_chunk: int):
    head = make_head(kind)
    student, teacher, labels = make_states()
    expected = plain(name, student, teacher, labels, head)
    (expected_grad,) = torch.autograd.grad(expected, student)
    loss = chunked(name, student, teacher, labels, head)
    (grad,) = torch.autograd.grad(loss, student)
    assert loss.dtype == torch.float64
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(grad, expected_grad, rtol=1e-8, atol=1e-10)


def test_chunks_really_are_chunks(tokens_a_chunk: int, monkeypatch: pytest.MonkeyPatch):
    sizes = []
    logits = LMHead.logits

    def seen(head: LMHead, states: Tensor) -> Tensor:
        sizes.append(len(states))
        return logits(head, states)

    monkeypatch.setattr(LMHead, "logits", seen)
    student, _, labels = make_states()
    cross_entropy(student, labels, make_head())
    assert max(sizes) == min(tokens_a_chunk, N)
    assert sum(sizes) == N


@pytest.mark.parametrize("name", LOSSES)
def test_zero_tokens_give_zero_and_a_gradient_of_no_rows(name: str):
    student, teacher, labels = make_states(0)
    loss = chunked(name, student, teacher, labels, make_head())
    loss.backward()
    assert loss.item() == 0
    assert student.grad is not None
    assert student.grad.shape == (0, H)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [1e4, 1e15])
def test_extreme_logits_give_numbers(name: str, size: float):
    student, teacher, labels = make_states(dtype=torch.float32)
    loss = chunked(name, (student * size), -teacher * size, labels, make_head(dtype=torch.float32))
    loss.backward()
    assert student.grad is not None
    assert loss.isfinite()
    assert loss > 0
    assert student.grad.isfinite().all()


def test_kl_of_the_same_states_is_zero_with_no_gradient():
    student, _, _ = make_states()
    for reverse in (False, True):
        loss = kl_divergence(student, student.detach() * 1, make_head(), reverse=reverse)
        (grad,) = torch.autograd.grad(loss, student)
        assert loss.abs() < 1e-14
        assert grad.abs().max() < 1e-14


@pytest.mark.parametrize("name", LOSSES)
def test_bfloat16_is_within_three_percent(name: str):
    student, teacher, labels = make_states(dtype=torch.bfloat16)
    head = make_head(dtype=torch.bfloat16)
    loss = chunked(name, student, teacher, labels, head)
    (grad,) = torch.autograd.grad(loss, student)
    exact = student.detach().double().requires_grad_()
    expected = plain(name, exact, teacher.double(), labels, make_head())
    (expected_grad,) = torch.autograd.grad(expected, exact)
    assert loss.dtype == torch.float32
    assert grad.dtype == torch.bfloat16
    torch.testing.assert_close(loss.double(), expected, rtol=0.03, atol=0)
    assert (grad.double() - expected_grad).norm() < 0.03 * expected_grad.norm()


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_scaled_by_what_the_loss_is_multiplied_with(name: str):
    head = make_head()
    student, teacher, labels = make_states()
    (grad,) = torch.autograd.grad(chunked(name, student, teacher, labels, head), student)
    (scaled,) = torch.autograd.grad(-2.5 * chunked(name, student, teacher, labels, head), student)
    torch.testing.assert_close(scaled, -2.5 * grad)


def test_a_loss_may_be_used_twice():
    head = make_head()
    student, _, labels = make_states()
    (grad,) = torch.autograd.grad(cross_entropy(student, labels, head), student)
    loss = cross_entropy(student, labels, head)
    (loss + 3 * loss).backward(retain_graph=True)
    torch.testing.assert_close(student.grad, 4 * grad)
    loss.backward()
    torch.testing.assert_close(student.grad, 5 * grad)


def test_gradient_flows_through_states_that_are_not_leaves():
    head = make_head()
    student, _, labels = make_states()
    matrix = torch.randn(H, H, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(cross_entropy(student.detach() @ matrix, labels, head), matrix)
    (expected,) = torch.autograd.grad(plain("cross_entropy", student.detach() @ matrix, student, labels, head), matrix)
    torch.testing.assert_close(grad, expected)


def test_no_gradient_reaches_the_teacher_or_the_head():
    student, teacher, _ = make_states()
    head = make_head()
    head.weight.requires_grad_()
    teacher.requires_grad_()
    kl_divergence(student, teacher, head).backward()
    assert student.grad is not None
    assert teacher.grad is None
    assert head.weight.grad is None


@pytest.mark.parametrize("name", LOSSES)
def test_without_gradients_the_value_is_the_same_and_no_gradient_is_computed(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    head = make_head()
    student, teacher, labels = make_states()
    expected = chunked(name, student, teacher, labels, head)
    monkeypatch.setattr(LMHead, "grad_hidden", None)  # would raise if it were called
    with torch.no_grad():
        loss = chunked(name, student, teacher, labels, head)
    assert not loss.requires_grad
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-14, atol=0)
    torch.testing.assert_close(chunked(name, student.detach(), teacher, labels, head), loss)


def test_states_and_labels_are_left_as_they_were():
    student, teacher, labels = make_states()
    before = [tensor.detach().clone() for tensor in (student, teacher, labels)]
    kl_divergence(student, teacher, make_head(), reverse=True).backward()
    cross_entropy(student, labels, make_head()).backward()
    for tensor, copy in zip((student, teacher, labels), before, strict=True):
        assert torch.equal(tensor, copy)


def test_a_second_derivative_is_refused_rather_than_wrong():
    student, _, labels = make_states()
    loss = cross_entropy(student, labels, make_head())
    (grad,) = torch.autograd.grad(loss**2, student, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


MEASURE = """
import sys, time
from statistics import median
import torch
from torch.nn import functional as F
from llm2comp.backbone.head import LMHead
from llm2comp.objectives.token_losses import cross_entropy, kl_divergence

torch.manual_seed(0)
V, H = 128_256, 64
head = LMHead(torch.randn(V, H) * 0.1)

def whole(name, student, teacher, labels):
    if name == "cross_entropy":
        return F.cross_entropy(student @ head.weight.T, labels)
    q, p = ((states @ head.weight.T).log_softmax(-1) for states in (student, teacher))
    return F.kl_div(q, p, log_target=True, reduction="sum") / len(student)

def chunked(name, student, teacher, labels):
    if name == "cross_entropy":
        return cross_entropy(student, labels, head)
    return kl_divergence(student, teacher, head, reverse=name == "reverse")

def states(n):
    return torch.randn(n, H, requires_grad=True), torch.randn(n, H), torch.randint(V, (n,))

def extra_bytes(n, name):
    arguments = states(n)
    resident = lambda field: 1024 * int(next(l for l in open("/proc/self/status") if field in l).split()[1])
    open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
    before = resident("VmRSS")
    chunked(name, *arguments).backward()
    return resident("VmHWM") - before

def seconds(run, name, arguments):
    start = time.process_time()
    run(name, *arguments).backward()
    return time.process_time() - start

names = ["cross_entropy", "forward", "reverse"]
if sys.argv[1] == "memory":
    print(extra_bytes(int(sys.argv[2]), sys.argv[3]))
else:
    for name in names[:2]:
        arguments = states(int(sys.argv[2]))
        rounds = [(seconds(chunked, name, arguments), seconds(whole, name, arguments)) for _ in range(3)]
        print(*(median(column) for column in zip(*rounds)))
"""


def measure(*arguments: str, **environment: str) -> list[list[float]]:
    output = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [[float(value) for value in line.split()] for line in output.splitlines()]


# A tenth of a single tensor of whole logits, of which a loss with its gradient holds three to five.
WHOLE_LOGITS = 4096 * 128_256 * 4


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory of a process from /proc")
@pytest.mark.parametrize("name", ["cross_entropy", "forward", "reverse"])
def test_extra_memory_is_under_a_tenth_of_whole_logits(name: str):
    # Each in a process of its own: what one loss has freed would serve the next, and its peak would not show.
    # glibc's malloc gives back at once what is freed, else chunks that are kept may count twice.
    ((peak,),) = measure("memory", "4096", name, MALLOC_MMAP_THRESHOLD_=str(2**21))
    assert 2**20 < peak < WHOLE_LOGITS / 10


@pytest.mark.slow
def test_chunks_are_not_slower_than_whole_logits():
    for chunks, whole in measure("time", "512"):
        assert chunks < whole


def test_the_definitions_here_know_the_difference_between_forward_and_reverse():
    states = make_states()
    values: dict[str, Tensor] = {name: plain(name, *states, make_head()) for name in LOSSES}
    assert len({round(value.item(), 6) for value in values.values()}) == len(LOSSES)
