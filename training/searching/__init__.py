"""Weights of a mixture, found by small models: `onggi mix --search`."""
