"""The recipes of adaptation at toy size, from the data that `onggi synth` makes to the merged model."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

pytest.importorskip("trl")

import torch

from manifests.house import HOME
from manifests.load import load_kind
from manifests.recipes import find_manifest
from manifests.schema_training import TrainingManifest
from synth.pipeline import synthesize
from tests.scenarios import toy_documents, toy_functions
from tests.scenarios.recipe_runs import recipe
from tests.scenarios.toy_models import QUICK, make_tokenizer, new_model, sft, trained, write_sums
from tests.scenarios.training_runs import in_this_process
from tests.synth.chat_server import ChatServer
from tests.training.tiny import write_jsonl
from training import stages
from training.summary_models import StageSummary, TrainingSummary

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
]
GUIDE = HOME / "docs" / "adapting.md"


@pytest.fixture(autouse=True, scope="module")
def _here() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stages, "run", in_this_process)
        yield
    torch.set_num_threads(before)


def guide() -> dict[str, Any]:
    """What the Python of the guide defines."""
    found: dict[str, Any] = {}
    for block in GUIDE.read_text("utf-8").split("```python\n")[1:]:
        exec(block.partition("```")[0], found)
    return found


def train_recipe(name: str, folder: Path, *changes: str) -> dict[str, StageSummary]:
    """Run a recipe with changes in a folder; its stages by name."""
    always = ["threads=1", "prompts=null", *changes]
    manifest = load_kind(TrainingManifest, find_manifest(name), always)
    _, run = stages.train(manifest, str(folder))
    summary = TrainingSummary.model_validate_json(Path(run, "summary.json").read_bytes())
    return {stage.name: stage for stage in summary.stages}


def quick(stage: str, steps: int, learning_rate: float, **more: Any) -> list[str]:
    """What makes a stage of a recipe small."""
    values = {"steps": steps, "learning_rate": learning_rate, "micro_batch": "null", "recompute": "false"}
    values |= {"batch": QUICK["batch"], "max_length": 384, "schedule.warmup": 0.1, **more}
    return [f"stages.{stage}.{name}={value}" for name, value in values.items()]


# Retrieval


def synthesized(folder: Path, name: str, n: int, seed: int) -> Path:
    """The recipe `grounded-qa` over toy documents; the folder of the run."""
    seeds = write_jsonl(folder / f"{name}.jsonl", toy_documents.documents(n, seed))
    with ChatServer(toy_documents.say, n_slots=None) as server:
        manifest = recipe("grounded-qa", folder / name, model="judge-1", url=server.url)
        changed = manifest.model_dump(mode="json") | {
            "seeds": [{"path": str(seeds), "id": "id", "language": "language"}],
            "gates": [gate for gate in manifest.model_dump()["gates"] if gate["gate"] in ("repetition", "refusal")],
        }
        changed["task"] |= {"per_document": 1, "first_gate": 9, "second_gate": 10}
        synthesize(type(manifest).model_validate(changed), str(folder))
    return folder / name


@pytest.fixture(scope="module")
def rag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of a toy: two runs of `onggi synth`, earlier conversations, an instruct model."""
    folder = tmp_path_factory.mktemp("rag")
    run = synthesized(folder, "grounded-qa", 500, 1)
    guide()["write_grounded"](str(synthesized(folder, "held-out", 60, 2)), str(folder / "grounded.jsonl"))
    texts = [turn["content"] for row in messages_of(run) for turn in row]
    words = write_jsonl(folder / "words.jsonl", [{"text": text} for text in texts])
    earlier = [orjson.loads(line)["messages"] for line in write_sums(folder, 40, seed=9).read_bytes().splitlines()]
    told = write_jsonl(folder / "earlier.jsonl", [{"text": f"{row[0]['content']} {row[1]['content']}"} for row in earlier])
    write_sums(folder, 400)
    tokenizer = make_tokenizer(folder / "tokenizer", [words, told])
    model = trained(folder / "instruct", new_model(tokenizer), [sft(folder / "sums.jsonl", 200, learning_rate=3e-3)])
    (folder / "model").symlink_to(model)
    return folder


def messages_of(run: Path) -> list[list[dict[str, str]]]:
    found: list[list[dict[str, str]]] = pl.read_parquet(run / "messages" / "*.parquet")["messages"].to_list()
    return found


def test_each_gate_counts_what_it_keeps_out(rag: Path) -> None:
    """The first at 9, the second, after reflection, at 10: as many as the teacher was wrong, and hedged to the end."""
    rejected = pl.read_parquet(rag / "grounded-qa" / "rejected" / "*.parquet")
    found = Counter(rejected["rejection"].struct.field("stage").to_list())
    misread, hedged = 0, 0
    made = {row["provenance"]["parent"]: row for row in rejected.to_dicts()}
    for document in toy_documents.documents(500, 1):
        row = made.get(document["id"])
        answerable = row is None or row["variety"] == "answerable"
        misread += row is not None and answerable and toy_documents.is_misread(document["text"])
        hedged += row is not None and answerable and not toy_documents.is_misread(document["text"])
    assert found == {"first_gate": misread, "second_gate": hedged}
    assert misread > 30 and hedged > 40
    kept = pl.read_parquet(rag / "grounded-qa" / "messages" / "*.parquet")
    pairs = pl.read_parquet(rag / "grounded-qa" / "preference" / "*.parquet")
    assert len(kept) == len(pairs) == 500 - misread - hedged
    assert kept["second_score"].min() == 10 and pairs["rejected_score"].max() == 2


def test_retrieval(rag: Path) -> None:
    """Grounding rises with SFT; pairs are told apart; the merge stays above the instruct model."""
    found = train_recipe(
        "kanana-rag",
        rag,
        "base=./model",
        "evaluation=null",
        "stages.synqa.data=[{path: grounded-qa, domain: synqa, weight: 70}, "
        "{path: sums.jsonl, domain: replay, weight: 30}]",
        "stages.synqa-dpo.data=[{path: grounded-qa, domain: synqa}]",
        "stages.synqa.gates=[{gate: accuracy, set: grounded, max_fall: 0}]",
        "stages.merged.gates=[{gate: accuracy, set: grounded, max_fall: 0, against: base}]",
        "validation=[{name: grounded, choices: grounded.jsonl}, {name: earlier, text: earlier.jsonl}]",
        "stages.merged.sweep=[]",
        "output=run",
        *quick("synqa", 500, 2e-3),
        *quick("synqa-dpo", 30, 1e-4),
    )
    print({name: (stage.measures, stage.made.figures) for name, stage in found.items()})
