"""Tests of `training.searching`."""
