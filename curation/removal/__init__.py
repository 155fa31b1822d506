"""Take-down: documents are removed from corpora, mixtures and synthetic data, and a receipt says what was done."""
