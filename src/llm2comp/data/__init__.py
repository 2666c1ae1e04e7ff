"""Text sources, the tokenised corpus, batches and the one LightningDataModule."""
