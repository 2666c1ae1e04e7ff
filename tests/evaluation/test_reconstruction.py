"""What the frozen decoder says from memory is what it says, token after token, when it is asked plainly."""

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from llm2comp.backbone.backbone import Backbone
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.errors import UserError
from llm2comp.evaluation.reconstruction import Agreement, read_memory
from tests.objectives.compression.examples import make_encoder, plain_example

TEXT = "The quick brown fox"


def text_ids(encoder: Encoder, text: str = TEXT) -> Tensor:
    return torch.tensor(encoder.tokenizer(text)["input_ids"])


@torch.no_grad()
def greedy(lm: PreTrainedModel, prefix: Tensor, steps: int) -> list[int]:
    """The most likely token after [P, H], and after it, until EOS."""
    said: list[int] = []
    while len(said) < steps and 1 not in said:
        logits = lm(inputs_embeds=prefix[None], use_cache=False).logits[0, -1]
        said.append(int(logits.argmax()))
        prefix = torch.cat([prefix, lm.get_input_embeddings()(torch.tensor(said[-1:]))])
    return said


@pytest.mark.parametrize("scale", [None, 0.2])
def test_it_says_what_the_original_model_says_greedily(scale: float | None):
    encoder, original = make_encoder(scale=scale)
    encoder.eval()
    ids = text_ids(encoder)
    embed = original.get_input_embeddings()
    memory = plain_example(encoder, original, ids, ids[1:]).memory.detach() * (scale or 1.0)
    from_text = greedy(original, embed(ids), 7)
    from_memory = greedy(original, torch.cat([embed(ids[:1]), memory]), 7)
    assert from_text != from_memory

    reading = read_memory(encoder, TEXT, max_new_tokens=7)
    assert reading.from_text == encoder.tokenizer.decode(from_text, skip_special_tokens=True)
    assert reading.from_memory == encoder.tokenizer.decode(from_memory, skip_special_tokens=True)
    assert reading.continuation.tokens == [encoder.tokenizer.decode([token]) for token in from_text]


def test_agreement_is_of_the_most_likely_token_given_those_before():
    encoder, original = make_encoder()
    encoder.eval()
    ids = text_ids(encoder)
    reading = read_memory(encoder, TEXT, max_new_tokens=9)
    following = torch.tensor(greedy(original, original.get_input_embeddings()(ids), 9))
    plain = plain_example(encoder, original, ids, following)
    assert "".join(reading.text.tokens) == TEXT
    assert reading.text.said == (plain.reconstruction.argmax(-1) == ids[1:]).tolist()
    assert reading.continuation.said == (plain.continuation.argmax(-1) == following).tolist()


def test_a_memory_that_is_the_text_itself_continues_it_in_full(monkeypatch: pytest.MonkeyPatch):
    k = 3
    encoder, original = make_encoder(k=k)
    encoder.eval()
    text = "x7z"
    embeddings = original.get_input_embeddings()(text_ids(encoder, text)[1:])
    assert len(embeddings) == k
    monkeypatch.setattr(encoder, "compress", lambda *_: embeddings[None])
    reading = read_memory(encoder, text, max_new_tokens=10)
    assert reading.from_memory == reading.from_text
    assert reading.continuation.share == 1


def test_adapters_do_not_speak():
    encoder, _ = make_encoder()
    encoder.eval()
    before = read_memory(encoder, TEXT, max_new_tokens=5).from_text
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "lora_" in name:
                parameter += 1
    assert read_memory(encoder, TEXT, max_new_tokens=5).from_text == before


def test_long_texts_are_cut_and_empty_ones_have_nothing_to_agree_on():
    encoder, _ = make_encoder()
    encoder.eval()
    encoder.config.max_length = 13
    reading = read_memory(encoder, "fox " * 100, max_new_tokens=2)
    assert len(reading.text.tokens) == 13 - 3 - 1  # memory tokens and BOS
    assert read_memory(encoder, "", max_new_tokens=2).text == Agreement([], [])
    assert Agreement([], []).share == 0
    assert Agreement(["a", "b", "c", "d"], [True, False, True, True]).share == 0.75


def test_an_encoder_without_memory_is_refused():
    encoder, original = make_encoder()
    bare = Encoder(Backbone(original), encoder.tokenizer, EncoderConfig(base="org/some-model"))
    with pytest.raises(UserError, match="org/some-model has no memory tokens"):
        read_memory(bare, TEXT)
