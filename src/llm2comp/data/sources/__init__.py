"""Where text comes from: each source yields documents of paragraphs."""
