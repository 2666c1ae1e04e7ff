"""Masked next-token prediction (MNTP)."""

import torch
from torch import Tensor

from llm2comp.backbone.head import LMHead
from llm2comp.data.batches import IGNORED, MaskedBatch
from llm2comp.data.masking import Masking, MaskStyle
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.errors import UserError
from llm2comp.objectives.base import Measurement, Objective
from llm2comp.objectives.flops import head_flops, pass_flops
from llm2comp.objectives.process_mean import process_mean
from llm2comp.objectives.token_losses import chunk_size, cross_entropy


class MNTP(Objective):
    """-log p(n_i | state at i-1): the masked token n_i is read one position earlier (arXiv 2404.05961, section 2.1).

    ```
    read      BOS  n_1   _   n_3  n_4   _      with bidirectional attention
    predicted      n_2            n_5          by the frozen head, from the state above it
    ```
    The loss is a mean over the masked tokens of the batch, zero where there are none. A text has at least one, unless
    all it holds are special tokens.

    Args:
        mask_rate: the probability that a token is masked; special tokens never are.
        mask_style: what takes its place: `all`, the mask token; `bert`, in 80 percent of the places the mask token, in
            10 a random token, in 10 the token itself.
        mask_token: any token of the vocabulary. For one that texts do not hold, name a special one that the model has
            no use for, such as `<unk>` or a reserved token: nothing is resized, and the encoder never reads it.

    Raises UserError for another style or a rate outside (0, 1]; the DataModule does for a mask token that is not there.
    """

    batch_type = MaskedBatch
    needs_decoder = True  # its head, which stays as it is though every weight of the encoder may train

    def __init__(self, mask_rate: float = 0.2, mask_style: MaskStyle = "bert", mask_token: str = "_") -> None:
        self.masking = Masking(mask_rate, mask_style, mask_token)

    def __call__(self, encoder: Encoder, batch: MaskedBatch) -> Tensor:
        hidden_states, labels = self._predictions(encoder, batch)
        loss = cross_entropy(hidden_states, labels, encoder.backbone.head)
        return process_mean([Measurement(loss, len(labels))])

    def measure(self, encoder: Encoder, batch: MaskedBatch) -> dict[str, Measurement]:
        hidden_states, labels = self._predictions(encoder, batch)
        head = encoder.backbone.head
        return {
            "loss": Measurement(cross_entropy(hidden_states, labels, head), len(labels)),
            "masked_accuracy": Measurement(_accuracy(hidden_states, labels, head), len(labels)),
        }

    def flops(self, encoder: Encoder, batch: MaskedBatch) -> float:
        backbone = encoder.backbone
        backward = 1 if backbone.has_adapters else 2
        read = pass_flops(backbone.lm, batch.attention_mask.sum(-1), backbone.direction == "causal", backward)
        return read + 2 * head_flops(backbone.decoder, float((batch.labels != IGNORED).sum()))

    def check(self, config: EncoderConfig) -> None:
        if config.num_memory_tokens:
            raise UserError(
                "MNTP trains the states of the text's own tokens and would leave memory tokens without a task: set "
                "num_memory_tokens to 0 and pooling to mean"
            )

    def _predictions(self, encoder: Encoder, batch: MaskedBatch) -> tuple[Tensor, Tensor]:
        """The states [N, H] one position before the masked tokens, and these tokens [N]."""
        hidden_states, _ = encoder(batch.input_ids, batch.attention_mask)  # [B, T, H]
        labels = batch.labels[:, 1:]
        masked = labels != IGNORED
        return hidden_states[:, :-1][masked], labels[masked]


def _accuracy(hidden_states: Tensor, labels: Tensor, head: LMHead) -> Tensor:
    """The share of tokens [N] that the head finds most likely after the states [N, H]; zero for no tokens."""
    size = chunk_size(head, hidden_states.device)
    found = torch.zeros((), device=hidden_states.device)
    for states, tokens in zip(hidden_states.split(size), labels.split(size), strict=True):
        found += (head.logits(states).argmax(-1) == tokens).sum()
    return found / max(len(labels), 1)
