"""Token mixtures: documents of many sources as packed sequences, in the order of training, with a ledger."""
