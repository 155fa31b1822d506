"""Curated mixtures become models. Floor 5: imports synth, curation, classifiers, manifests."""
