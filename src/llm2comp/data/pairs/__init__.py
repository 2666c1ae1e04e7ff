"""Pairs of texts with hard negatives: read in several layouts, tokenised, kept on disk, mixed."""
