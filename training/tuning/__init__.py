"""Supervised fine-tuning: conversations, of which what the assistant says is learnt."""
