"""Online DPO: a policy learns from its own answers, which a reward model ranks."""
