"""Raw records become measured documents, decisions and a curated corpus.

In the order in which data flows: read, extract, normalize, language (in `classifiers`), signals, measure, rules,
dedup, decide, write, report; `pipeline` composes them.
"""

import manifests  # noqa: F401  # sets where Numba keeps compiled kernels, before any is imported
