"""What is measured of a model, on held-out text, questions and prompts."""
