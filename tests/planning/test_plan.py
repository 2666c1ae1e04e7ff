"""What fits is what is said to, and no more."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig

from llm2comp.backbone.lora import LoRA
from llm2comp.errors import UserError
from llm2comp.objectives import MNTP, Contrastive
from llm2comp.planning.full_batch import batch_size, full_batch
from llm2comp.planning.model_size import model_size
from llm2comp.planning.plan import Plan
from llm2comp.planning.strategies import STRATEGIES, Moment, footprint, refusal
from tests.planning.examples import LAYERS, planned, save_lm

GIB = 2**30
# Of the paper's first stage.
PAPER: dict[str, Any] = {
    "lora": LoRA(16, 32, 0.05, ["q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
    "k": 8,
    "max_length": 512,
    "dtype": torch.bfloat16,
    "attention": None,
    "device": "cuda",
}


@pytest.fixture(scope="module")
def llama_2_7b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of Llama-2-7B, and nothing else."""
    folder = tmp_path_factory.mktemp("Llama-2-7b-chat-hf")
    sizes = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}
    AutoConfig.for_model("llama", vocab_size=32000, max_position_embeddings=4096, **sizes).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_lm(tmp_path_factory.mktemp("llama"), hidden_size=128, intermediate_size=256)


def test_a_7b_model_has_its_parameters(llama_2_7b: Path):
    adapters = 32 * 16 * (3 * (4096 + 4096) + 3 * (4096 + 11008)) + 8 * 4096
    for quantization in (None, "4bit"):
        size = model_size(planned(llama_2_7b, **PAPER, quantization=quantization))
        assert size.parameters == 6_738_415_616 + adapters
        assert size.trained_parameters == adapters
    linear = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    rest = 2 * (6_738_415_616 - linear)
    assert size.memory["weights"] == pytest.approx(linear / 2 + linear / 64 * 4 + rest, rel=1e-4)


def test_7b_is_distilled_in_bfloat16_on_one_gpu_of_80_gb_with_one_copy(llama_2_7b: Path):
    plan = Plan(planned(llama_2_7b, **PAPER), 1, 80 * GIB)
    memory = plan.peak("one device", 4)
    assert sum(memory.values()) <= plan.usable
    assert memory["frozen copy"] == 0
    assert memory["weights"] == pytest.approx(2 * 6_738_415_616, rel=1e-3)


def test_7b_is_distilled_in_4_bits_on_one_gpu_of_24_gb(llama_2_7b: Path):
    training = planned(llama_2_7b, **PAPER, quantization="4bit", activation_checkpointing=True)
    plan = Plan(training, 1, 24 * GIB)
    assert plan.total("one device", 4) <= plan.usable
    kept = Plan(dataclasses.replace(training, activation_checkpointing=False), 1, 24 * GIB)
    assert kept.total("one device", 2) <= kept.usable < kept.total("one device", 4)  # in two batches a step


def test_full_training_of_7b_needs_a_second_copy_and_fits_when_divided(llama_2_7b: Path):
    plan = Plan(planned(llama_2_7b, **{**PAPER, "lora": None}, batch_size=32), 8, 80 * GIB)
    alone, divided = plan.peak("ddp", 4), plan.peak("fsdp2", 4)
    assert alone["frozen copy"] == pytest.approx(2 * 6_738_415_616, rel=1e-3)
    assert sum(divided.values()) <= plan.usable < sum(alone.values())
    # Weights that train are in float32, as are their gradients and the two states of each.
    trained = 4 * 6_607_343_616  # the head is the decoder's
    assert divided["trained"] == pytest.approx(trained / 8, rel=0.01)
    assert divided["optimizer"] == pytest.approx(2 * trained / 8, rel=0.01)


def test_the_largest_batch_is_the_largest(tiny: Path):
    plan = Plan(planned(tiny), 1, GIB)
    plan.usable = plan.total("one device", 4) + 4 * (plan.total("one device", 8) - plan.total("one device", 4))
    rows = plan.of("one device").largest
    assert 10 < rows < 40
    assert plan.total("one device", rows) <= plan.usable < plan.total("one device", rows + 1)
    plan.usable = 1000
    nothing = plan.of("one device")
    assert (nothing.fits, nothing.largest) == (False, 0)


def test_dividing_takes_less_the_more_there_are_to_divide_among(tiny: Path):
    training = planned(tiny, lora=None, dtype=torch.bfloat16, device="cuda", batch_size=8)
    size = model_size(training)
    memory = {**size.memory, "gradients": size.memory["trained"], "optimizer": 2 * size.memory["trained"]}
    moment = Moment("backward of pass 1", memory)
    for strategy in STRATEGIES:
        two, four, eight = (footprint(strategy, moment, training, size, devices) for devices in (2, 4, 8))
        parts = {
            "one device": set(),
            "ddp": set(),
            "fsdp2": {"weights", "frozen copy", "trained", "gradients", "optimizer"},
            "deepspeed_stage_2": {"trained", "gradients", "optimizer"},
            "deepspeed_stage_3": {"weights", "frozen copy", "trained", "gradients", "optimizer"},
        }[strategy]
        assert {part for part in memory if memory[part] and eight[part] < four[part] < two[part]} == parts
        assert all(eight[part] == memory[part] for part in memory.keys() - parts)


def test_zero_holds_gradients_from_the_backward_pass_to_the_step_or_always(tiny: Path):
    training = planned(tiny, lora=None, device="cuda")
    size = model_size(training)
    trained = size.memory["trained"]
    memory = {**size.memory, "gradients": trained, "optimizer": 2 * trained}
    expected = {"pass 1": (0, 1), "backward of pass 1": (1, 1), "step": (2, 2)}  # parts of one process, of two
    for segment, parts in expected.items():
        for strategy, number in zip(("deepspeed_stage_2", "deepspeed_stage_3"), parts, strict=True):
            held = footprint(strategy, Moment(segment, memory), training, size, 2)
            assert held["gradients"] == number * trained // 2
            assert held["trained"] == (3 if strategy == "deepspeed_stage_2" else 2) * trained // 2


def test_processes_share_a_batch_but_not_a_token_budget(tiny: Path):
    shared, own = (batch_size(planned(tiny, **options)) for options in ({"batch_size": 8}, {"token_budget": 700}))
    assert [shared.rows(processes) for processes in (1, 4)] == [8, 2]
    assert [own.rows(processes) for processes in (1, 4)] == [11, 11]
    assert shared.value_for(3, 4) == 12
    assert own.value_for(3, 4) == 3 * 61  # BOS, text and 3 memory tokens are 64


def test_what_a_strategy_refuses_is_said(tiny: Path):
    assert refusal("ddp", planned(tiny), 2) is None
    for strategy in ("fsdp2", "deepspeed_stage_3"):
        assert "4-bit" in str(refusal(strategy, planned(tiny, quantization="4bit", device="cuda"), 2))
    chunked = planned(tiny, Contrastive(micro_batch_size=2), k=0, device="cuda")
    assert refusal("fsdp2", chunked, 2) is None
    assert "micro_batch_size" in str(refusal("deepspeed_stage_3", chunked, 2))
    assert "batch_size 4 cannot be shared evenly by 3" in str(refusal("ddp", planned(tiny), 3))
    assert "GPUs" in str(refusal("deepspeed_stage_2", planned(tiny), 2))
    plan = Plan(planned(tiny), 2, GIB).of("deepspeed_stage_2")
    assert (plan.fits, plan.largest, plan.memory) == (False, 0, {})


def test_batches_are_full(tiny: Path):
    compression = full_batch(planned(tiny, max_length=64), 4)
    assert compression.text_ids.shape == (4, 64 - 3 - 10)
    assert compression.target_ids.shape == (4, 64 - 3 - 1 - 10)
    assert full_batch(planned(tiny), 1).target_ids.shape == (1, 10)
    assert full_batch(planned(tiny, token_budget=200, max_tokens=30), 4).text_ids.shape == (4, 30 - 10 + 1)
    masked = full_batch(planned(tiny, MNTP(mask_rate=0.5), k=0), 4)
    assert masked.input_ids.shape == (4, 64)
    assert (masked.labels >= 0).float().mean() == pytest.approx(0.5)
    pairs = full_batch(
        planned(tiny, Contrastive(), k=0, train="triplets.jsonl", max_query_tokens=10, max_document_tokens=30), 4
    )
    assert pairs.attention_mask.sum(-1).tolist() == [10, 11, 11, 11, 30, *[31] * 7]
    assert len(pairs.text_ids.unique()) == 12


def test_a_budget_below_a_text_is_refused(tiny: Path):
    with pytest.raises(UserError, match="less than the longest example, 61 tokens"):
        batch_size(planned(tiny, token_budget=60))


def test_layers_of_the_whole_model_are_counted(tiny: Path):
    assert model_size(planned(tiny)).num_layers == LAYERS
