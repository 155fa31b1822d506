"""What models can do: benchmarks through lm-eval, hidden sentences, answers that a judge scores."""
