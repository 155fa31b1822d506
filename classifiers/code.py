"""The sources that languages and scores depend on; what was made by others of them is stale."""

LANGUAGE_CODE = (
    "classifiers/bcp47.py",
    "classifiers/code_text.py",
    "classifiers/fasttext_[fmr]*.py",
    "classifiers/fasttext_predict.py",
    "classifiers/language.py",
    "classifiers/romanised.py",
    "classifiers/scripts.py",
)
"""The code that languages depend on."""

SCORING_CODE = (
    *LANGUAGE_CODE,
    "classifiers/cards.py",
    "classifiers/encoder.py",
    "classifiers/fasttext_score.py",
    "classifiers/head_score.py",
    "classifiers/jamo.py",
    "classifiers/lexicon/hidden.txt",
    "classifiers/lsa_f*.py",
    "classifiers/lsa_score.py",
    "classifiers/scorer.py",
    "classifiers/spelling*.py",
    "classifiers/text_tokens.py",
    "classifiers/token_hashes.py",
)
"""The code that scores depend on."""
