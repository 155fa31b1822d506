"""Tokenizers: texts to ids, as their own libraries do it, and as fast as it can be done."""
