"""Models of a model's own layers: depth up-scaling, and what each layer does."""
