"""Wikitext to text: formulas to the letter, templates by what they say."""
