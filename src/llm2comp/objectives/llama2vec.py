"""Llama2Vec: bags of tokens, predicted from embeddings."""

from dataclasses import replace

from torch import Tensor

from llm2comp.backbone.head import LMHead
from llm2comp.data.batches import CompressionBatch
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.errors import UserError
from llm2comp.objectives.base import Measurement, Objective
from llm2comp.objectives.flops import head_flops, pass_flops
from llm2comp.objectives.process_mean import process_mean


class Llama2Vec(Objective):
    """EBAE + EBAR (Li et al. 2024, ACL; arXiv 2312.15503): which tokens the text has, and which follow it.

    ```
    read      BOS  n_1 .. n_a   m_1 .. m_k/2    m_k/2+1 .. m_k
    predicted                   {n_1 .. n_a}    {y_1 .. y_T}      by the frozen head, from the mean state of each half
    ```
    Each half predicts a bag: the mean over its different tokens t of -log p(t), then over the texts. Embedding-based
    auto-encoding (EBAE) is the text's own bag, embedding-based auto-regression (EBAR) that of what follows; the loss
    is their sum.

    It departs from the paper where an encoder has no place for it: memory tokens stand for the two prompts and the
    special tokens after them; the second half may attend to the first, and with bidirectional attention the first to
    the second; the embedding is the mean of both halves, where the authors take one prompt for queries and the other
    for documents. Of the authors' code it leaves out what is not of the two tasks: the loss of next tokens, and the
    removal of stop words.
    """

    batch_type = CompressionBatch
    needs_decoder = True  # its head, which stays as it is though every weight of the encoder may train

    def __call__(self, encoder: Encoder, batch: CompressionBatch) -> Tensor:
        return process_mean([Measurement(loss, len(batch.text_ids)) for loss in self._losses(encoder, batch)])

    def measure(self, encoder: Encoder, batch: CompressionBatch) -> dict[str, Measurement]:
        autoencoding, autoregression = self._losses(encoder, batch)
        texts = len(batch.text_ids)
        return {
            "loss": Measurement(autoencoding + autoregression, texts),
            "autoencoding_loss": Measurement(autoencoding, texts),
            "autoregression_loss": Measurement(autoregression, texts),
        }

    def flops(self, encoder: Encoder, batch: CompressionBatch) -> float:
        backbone = encoder.backbone
        lengths = batch.text_mask.sum(-1) + encoder.num_memory_tokens
        backward = 1 if backbone.has_adapters else 2
        read = pass_flops(backbone.lm, lengths, backbone.direction == "causal", backward)
        return read + 2 * head_flops(backbone.decoder, 2.0 * len(lengths))

    def check(self, config: EncoderConfig) -> None:
        k = config.num_memory_tokens
        if k == 0 or k % 2:
            raise UserError(
                f"Llama2Vec splits the memory tokens in two halves, and num_memory_tokens is {k}: set it to 2 or "
                "another even number"
            )

    def _losses(self, encoder: Encoder, batch: CompressionBatch) -> tuple[Tensor, Tensor]:
        """EBAE and EBAR."""
        memory = encoder.compress(batch.text_ids, batch.text_mask)  # [B, k, H]
        own, following = (half.mean(1) for half in memory.chunk(2, dim=1))  # [B, H]
        head = encoder.backbone.head
        text_mask = batch.text_mask * (batch.text_mask.cumsum(1) > 1)  # BOS is given, not predicted
        return (
            bag_cross_entropy(own, batch.text_ids, text_mask, head),
            bag_cross_entropy(following, batch.target_ids, batch.target_mask, head),
        )


def bag_cross_entropy(hidden_states: Tensor, token_ids: Tensor, token_mask: Tensor, head: LMHead) -> Tensor:
    """Mean over texts, and over the different tokens t of each [B, T], of -log p(t), from one state a text [B, H]."""
    log_p = _logits(hidden_states, head).log_softmax(-1)  # [B, V]
    bag = log_p.new_zeros(log_p.shape).scatter_reduce(1, token_ids, token_mask.to(log_p.dtype), "amax")  # [B, V]
    return -((log_p * bag).sum(-1) / bag.sum(-1)).mean()


def _logits(hidden_states: Tensor, head: LMHead) -> Tensor:
    """The head's logits [B, V], with a gradient: it caps them in place, which autograd cannot follow."""
    logits = replace(head, softcap=None).logits(hidden_states)
    return logits if head.softcap is None else head.softcap * (logits / head.softcap).tanh()
