"""The model card of an encoder folder."""

import json

from llm2comp.encoder.config import EncoderConfig


def model_card(config: EncoderConfig) -> str:
    """README.md: what the encoder is, how to open it, and the stages that made it."""
    stages = "\n\n".join(
        f"### {i}. {stage.get('stage', 'stage')}\n\n```json\n{json.dumps(stage, indent=2, default=str)}\n```"
        for i, stage in enumerate(config.stages, start=1)
    )
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [sentence-transformers, feature-extraction, llm2comp]
---

# A text encoder made from {config.base}

{config.num_memory_tokens} memory tokens, {config.direction} attention, pooling `{config.pooling}`, \
at most {config.max_length} tokens. Made with llm2comp.

```python
from sentence_transformers import SentenceTransformer

encoder = SentenceTransformer("path/to/this/folder")
embeddings = encoder.encode(["A first text.", "A second text."])
```

## How it was made

{stages or "The language model as it is; nothing was trained."}
"""
