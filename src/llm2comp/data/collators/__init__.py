"""From examples to batches: for every batch dataclass the collator that makes it."""
