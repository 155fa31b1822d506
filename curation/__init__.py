"""Raw records become measured documents, decisions and a curated corpus.

In the order in which data flows: read, extract, normalize, language (in `classifiers`), signals, measure, rules,
dedup, decide, write, report; `pipeline` composes them. What a reader of a format takes to read it has a room: `latex`,
`wikitext`, `code` and `licenses`, `crawl`; so have the `addresses` of documents.
"""

import manifests  # noqa: F401  # sets where Numba keeps compiled kernels, before any is imported
