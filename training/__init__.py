"""Models trained on curated mixtures, and surgery on their checkpoints. Floor 5: imports all packages below it."""
