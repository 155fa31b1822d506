"""Conversations as tokens: what a row says, how a chat template writes it, and which of its tokens are learnt."""
