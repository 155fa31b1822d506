"""Small classifiers, trained in a moment."""

from pathlib import Path

import pyarrow as pa

from classifiers.cards import FastTextCard, write_card
from classifiers.fasttext_train import FastTextSettings, train_fasttext


def train_words(folder: Path, good: str, bad: str, n_epochs: int = 20) -> Path:
    """A classifier in `folder` that gives texts with the words of `good` up to 5, and those of `bad` down to 0."""
    texts = [f"{good if k % 2 else bad} 글 {k}" for k in range(50)]
    settings = FastTextSettings(dim=8, bucket=500, epoch=n_epochs, lr=0.5)
    labels = [str(k % 2 * 5) for k in range(50)]
    train_fasttext(pa.array(texts, pa.large_string()), labels, folder / "model.bin", settings)
    write_card(folder, FastTextCard(model="model.bin", values={"0": 0.0, "5": 5.0}))
    return folder
