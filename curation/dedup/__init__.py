"""What is compared with what, and which member of a group survives."""
