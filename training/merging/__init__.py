"""Models that become one, tensor by tensor."""
