"""What each sample has to pass before it is written."""
