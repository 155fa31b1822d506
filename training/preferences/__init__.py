"""Reward models and offline DPO: pairs of answers of which one is preferred."""
