"""Fit the trees of curation/main_content.json on the even half of data/extraction (pip install lightgbm).

Each block of a page of the even half is labelled by the gold text: main content where at least half of its words
align with it; in the set `trafilatura` only blocks that hold a listed segment are labelled. The second look learns
from first-look scores of pages that its first look did not see. `--folds` reports held-out F1, by pages or by sites.
"""

import argparse
import json
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import lightgbm
import numpy as np
import xxhash
from extraction_pages import SETS, WORD, Page, read_pages, score_set

from curation import main_content as engine
from curation.main_content_features import NAMES, features
from curation.main_content_outline import Outline
from curation.main_content_scorer import SECOND_LOOK, flatten, score, surroundings

N_FOLDS = 5
FIRST_LOOK = {"num_leaves": 12, "rounds": 150}
SECOND = {"num_leaves": 8, "rounds": 80}
SETTINGS = {
    "objective": "cross_entropy", "learning_rate": 0.08, "min_data_in_leaf": 15, "min_sum_hessian_in_leaf": 0.3,
    "feature_fraction": 0.4, "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 3, "seed": 1, "verbosity": -1,
    "num_threads": 1, "deterministic": True, "force_row_wise": True,
}  # fmt: skip
ALIGNED_WORDS_MIN = 3  # shorter runs of equal words are chance
WEIGHT_MAX = 0.3  # of its page: one huge block is one example


class Example:
    """A page of the even half with the features, labels and weights of its blocks."""

    def __init__(self, page: Page):
        self.page = page
        self.source, self.outline = engine.read_page(page.html)
        self.rows = features(self.source, self.outline)
        self.n_words = self.rows[:, engine.N_WORDS].copy()
        texts = [" ".join(text.split()) for text in block_texts(self.source, self.outline)]
        self.labels, self.weights = align(texts, page.gold) if page.gold else find_segments(texts, page)

    def text(self, scores: Any, bar: float) -> str:
        """The text that these scores would give."""
        bar = min(bar, engine.WEAK_PAGE_FRAC * float(scores.max(initial=0)))
        return engine.write(self.source, self.outline, scores >= bar)


def block_texts(source: bytes, outline: Outline) -> list[str]:
    texts = [b""] * len(outline.block_element)
    for start, end, block in zip(outline.piece_start, outline.piece_end, outline.piece_block, strict=True):
        texts[block] += source[start:end] if end >= 0 else b"\n"
    entities = (("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))
    decoded = [text.decode("utf-8", "replace") for text in texts]
    for entity, letter in entities:
        decoded = [text.replace(entity, letter) for text in decoded]
    return decoded


def align(texts: list[str], gold: str) -> tuple[Any, Any]:
    """1 for blocks of which half the words align with the gold text; weights are shares of the gold text."""
    words = [WORD.findall(text) for text in texts]
    flat = [word for block in words for word in block]
    aligned = np.zeros(len(flat) + 1)
    for start, _, size in SequenceMatcher(None, flat, WORD.findall(gold), autojunk=False).get_matching_blocks():
        if size >= ALIGNED_WORDS_MIN:
            aligned[start : start + size] = 1
    ends = np.cumsum([len(block) for block in words], dtype=int)
    sums = np.concatenate([[0], np.cumsum(aligned)])
    sizes = np.array([len(block) for block in words])
    shares = (sums[ends] - sums[ends - sizes]) / np.maximum(sizes, 1)
    weights = np.minimum(sizes / max(20.0, (shares * sizes).sum()), WEIGHT_MAX) + 1e-5
    return (shares >= 0.5).astype(float), weights


def find_segments(texts: list[str], page: Page) -> tuple[Any, Any]:
    """1 for blocks that hold a wanted segment, 0 for an unwanted one; the others have no weight."""
    labels, weights = np.zeros(len(texts)), np.zeros(len(texts))
    starts = np.concatenate([[0], np.cumsum([len(text) + 1 for text in texts])])
    joined = " ".join(texts)
    for value, segments in ((0.0, page.unwanted), (1.0, page.wanted)):
        for segment in (" ".join(segment.split()) for segment in segments):
            at = joined.find(segment)
            while at >= 0 and segment:
                for block in range(
                    np.searchsorted(starts, at, "right") - 1, np.searchsorted(starts, at + len(segment))
                ):
                    if block < len(texts):
                        labels[block], weights[block] = value, 0.25
                at = joined.find(segment, at + len(segment))
    return labels, weights


def fit(examples: list[Example], rows: list[Any], names: list[str], shape: dict[str, int]) -> list[list[Any]]:
    """Trees, as main_content.json stores them; every set weighs the same."""
    n_pages = {name: sum(example.page.set == name for example in examples) for name in SETS}
    matrix, labels = np.concatenate(rows), np.concatenate([example.labels for example in examples])
    weights = np.concatenate([example.weights * 100 / n_pages[example.page.set] for example in examples])
    used = weights > 0
    data = lightgbm.Dataset(matrix[used], labels[used], weight=weights[used], feature_name=names)
    booster = lightgbm.train(SETTINGS | {"num_leaves": shape["num_leaves"]}, data, shape["rounds"])
    return [stored_tree(tree["tree_structure"], names) for tree in booster.dump_model()["tree_info"]]


def stored_tree(root: dict[str, Any], names: list[str]) -> list[Any]:
    nodes: list[Any] = []

    def add(node: dict[str, Any]) -> int:
        index = len(nodes)
        if "leaf_value" in node:
            nodes.append(round(node["leaf_value"], 4))
            return index
        nodes.append(None)
        threshold = float(f"{node['threshold']:.5g}")
        nodes[index] = [names[node["split_feature"]], threshold, add(node["left_child"]), add(node["right_child"])]
        return index

    add(root)
    return nodes


def fit_both(examples: list[Example], folds: dict[str, int]) -> tuple[list[list[Any]], list[list[Any]]]:
    """Both looks; the second learns from scores of folds that were held out of the first."""
    first = fit(examples, [example.rows for example in examples], [*NAMES], FIRST_LOOK)
    seen: dict[str, Any] = {}
    for fold in sorted(set(folds.values())):
        others = [example for example in examples if folds[example.page.id] != fold]
        trees = flatten(fit(others, [example.rows for example in others], [*NAMES], FIRST_LOOK), [*NAMES])
        for example in examples:
            if folds[example.page.id] == fold:
                scores = score(example.rows, trees)
                seen[example.page.id] = surroundings(example.outline, scores, example.n_words)
    rows = [np.hstack([example.rows, seen[example.page.id]]) for example in examples]
    return first, fit(examples, rows, [*NAMES, *SECOND_LOOK], SECOND)


def held_out(examples: list[Example], folds: dict[str, int], bars: list[float]) -> None:
    """Print the F1 of each set with every page scored by trees that did not see it (or its site)."""
    looks: dict[str, tuple[Any, Any]] = {}
    for fold in range(N_FOLDS):
        others = [example for example in examples if folds[example.page.id] != fold]
        first, second = fit_both(others, {example.page.id: folds[example.page.id] for example in others})
        for example in (example for example in examples if folds[example.page.id] == fold):
            one = score(example.rows, flatten(first, [*NAMES]))
            seen = surroundings(example.outline, one, example.n_words)
            two = score(np.hstack([example.rows, seen]), flatten(second, [*NAMES, *SECOND_LOOK]))
            looks[example.page.id] = one, two
    for look in (0, 1):
        for bar in bars:
            values = []
            for name in SETS:
                chosen = [example for example in examples if example.page.set == name]
                texts = [example.text(looks[example.page.id][look], bar) for example in chosen]
                values.append(score_set([example.page for example in chosen], texts))
            means = [sum(value[k] for value in values) / len(values) for k in (0, 1)]
            print(
                f"look {look + 1} bar {bar}",
                *(f"{value[0]:.3f}" for value in values),
                *(f"{mean:.4f}" for mean in means),
            )


def fold_of(name: str) -> int:
    return xxhash.xxh3_64_intdigest(name.encode()) // 7 % N_FOLDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folds", choices=["pages", "sites"], help="report held-out F1 instead of writing the trees")
    arguments = parser.parse_args()
    pages = (page for name in SETS for page in read_pages(arguments.data, name) if page.even)
    examples = [Example(page) for page in pages]
    folds = {example.page.id: fold_of(example.page.id) for example in examples}
    if arguments.folds:
        if arguments.folds == "sites":
            folds = {example.page.id: fold_of(urlsplit(example.page.url).netloc) for example in examples}
        held_out(examples, folds, [0.35, 0.4, 0.45, 0.5])
        return
    first, second = fit_both(examples, folds)
    neutral = np.median(np.concatenate([example.rows for example in examples]), axis=0)
    fields = [f'"neutral": {json.dumps(dict(zip(NAMES, neutral.tolist(), strict=True)))}']
    for name, trees in (("first", first), ("second", second)):
        fields.append(
            f'"{name}": [\n' + ",\n".join(json.dumps(tree, separators=(",", ":")) for tree in trees) + "\n]"
        )
    Path("curation/main_content.json").write_text("{\n" + ",\n".join(fields) + "\n}\n")


if __name__ == "__main__":
    main()
