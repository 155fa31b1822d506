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
from synth.final_answers.json_schema_check import misfit
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
N_DOCUMENTS = 240
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
    run = synthesized(folder, "grounded-qa", N_DOCUMENTS, 1)
    guide()["write_grounded"](str(synthesized(folder, "held-out", 60, 2)), str(folder / "grounded.jsonl"))
    texts = [turn["content"] for row in messages_of(run) for turn in row]
    words = write_jsonl(folder / "words.jsonl", [{"text": text} for text in texts])
    earlier = [row["messages"] for row in rows_of(write_sums(folder, 40, seed=9))]
    said = [{"text": f"{asked['content']} {answer['content']}"} for asked, answer in earlier]
    told = write_jsonl(folder / "earlier.jsonl", said)
    write_sums(folder, 400)
    tokenizer = make_tokenizer(folder / "tokenizer", [words, told])
    chats = [*rows_of(folder / "sums.jsonl"), *({"messages": guessed(row)} for row in messages_of(run))]
    stage = sft(write_jsonl(folder / "chats.jsonl", chats), 150, learning_rate=3e-3)
    model = trained(folder / "instruct", new_model(tokenizer), [stage])
    (folder / "model").symlink_to(model)
    return folder


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def guessed(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    """A conversation whose answer does not look at the document."""
    return [turns[0], {"role": "assistant", "content": f"It costs {len(turns[0]['content']) % 9 + 1} coins."}]


def messages_of(run: Path) -> list[list[dict[str, str]]]:
    found: list[list[dict[str, str]]] = pl.read_parquet(run / "messages" / "*.parquet")["messages"].to_list()
    return found


def test_each_gate_counts_what_it_keeps_out(rag: Path) -> None:
    """The first at 9 what the teacher read wrong, the second, after reflection, at 10 what it still hedged."""
    rejected = pl.read_parquet(rag / "grounded-qa" / "rejected" / "*.parquet")
    found = Counter(rejected["rejection"].struct.field("stage").to_list())
    misread, hedged = 0, 0
    made = {row["provenance"]["parent"]: row for row in rejected.to_dicts()}
    for document in toy_documents.documents(N_DOCUMENTS, 1):
        row = made.get(document["id"])
        answerable = row is None or row["variety"] == "answerable"
        misread += row is not None and answerable and toy_documents.is_misread(document["text"])
        hedged += row is not None and answerable and not toy_documents.is_misread(document["text"])
    assert found == {"first_gate": misread, "second_gate": hedged}
    assert misread > 15 and hedged > 20
    kept = pl.read_parquet(rag / "grounded-qa" / "messages" / "*.parquet")
    pairs = pl.read_parquet(rag / "grounded-qa" / "preference" / "*.parquet")
    assert len(kept) == len(pairs) == N_DOCUMENTS - misread - hedged
    assert kept["second_score"].min() == 10 and pairs["rejected_score"].max() == 2


def test_retrieval(rag: Path) -> None:
    """Table 11's directions: tuning makes answers grounded and costs what was known; the merge gives that back, for
    some of the grounding."""
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
        *quick("synqa", 200, 1.5e-3),
        *quick("synqa-dpo", 30, 1e-4),
    )
    grounded = {name: stage.measures["grounded"]["accuracy"] for name, stage in found.items()}
    earlier = {name: stage.measures["earlier"]["bits_per_byte"] for name, stage in found.items()}
    print(f"grounded: {grounded}\nearlier conversations, bits per byte: {earlier}")
    assert grounded["base"] < 0.8 < grounded["synqa"] <= grounded["synqa-dpo"] + 0.05
    assert grounded["merged"] > grounded["base"]
    assert earlier["base"] < earlier["merged"] < earlier["synqa-dpo"]
    figures = found["synqa-dpo"].made.figures
    assert figures["margin"] > figures["margin_before"] and figures["accuracy"] > 0.9


# Functions


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """English calls as they are published, made rows of by the guide; Korean dialogues; a base of new weights."""
    folder = tmp_path_factory.mktemp("functions")
    code = guide()
    write_jsonl(folder / "xlam.jsonl", [code["from_xlam"](row) for row in toy_functions.xlam_rows(200, 0)])
    write_jsonl(folder / "english.jsonl", toy_functions.dialogues(200, "en", 1))
    write_jsonl(folder / "korean/rows.jsonl", toy_functions.dialogues(400, "ko", 2))
    words = [str(row) for language in ("ko", "en") for row in toy_functions.dialogues(100, language, 4)]
    make_tokenizer(folder / "tokenizer", [write_jsonl(folder / "words.jsonl", [{"text": text} for text in words])])
    return folder


def test_function_calling(functions: Path) -> None:
    """The domain in English, then Korean turns: each type is a domain of its own, and learnt."""
    turns = ("call", "completion", "slot", "relevance")
    korean = ", ".join(f"{{path: korean, domain: {turn}, where: \"variety = '{turn}'\"}}" for turn in turns)
    found = train_recipe(
        "kanana-function-calling",
        functions,
        f"base={orjson.dumps(new_model(functions / 'tokenizer')).decode()}",
        "stages.domain.data=[{path: xlam.jsonl, domain: xlam}, {path: english.jsonl, domain: sgd}]",
        f"stages.korean.data=[{korean}]",
        "stages.domain.gates=[]",
        "stages.korean.gates=[]",
        "validation=[]",
        "output=run",
        *quick("domain", 60, 3e-3, held_out=0.05, batch=5),
        *quick("korean", 200, 3e-3, held_out=0.05, batch=5),
    )
    [domains] = [table for table in found["korean"].made.tables if table.title == "Domains"]
    losses = {str(row[0]): (float(str(row[-2])), float(str(row[-1]))) for row in domains.rows}
    rows, code = toy_functions.dialogues(40, "ko", 3), guide()
    answers = code["answers_of"](str(functions / "run" / found["korean"].folder / "model"), rows)
    scores = code["turn_scores"](rows, answers)
    print(f"held-out loss of each turn type, before and after: {losses}\nright calls, or none: {scores}")
    assert set(losses) == set(scores) == set(turns)
    assert all(after < before / 3 for before, after in losses.values())
    assert min(scores[turn] for turn in ("completion", "slot", "relevance")) > 0.9
    called = [(row, code["calls_of"](answer)) for row, answer in zip(rows, answers, strict=True)]
    fit = [fits(row, calls) for row, calls in called if row["variety"] == "call"]
    print(f"calls of the function that is offered, which fit its schema: {sum(fit)} of {len(fit)}")
    assert sum(fit) / len(fit) > 0.2


def fits(row: dict[str, Any], calls: list[tuple[str, Any] | None]) -> bool:
    """Whether there is one call, of the function that is offered, with arguments that fit its schema."""
    [tool] = orjson.loads(row["tools"])
    [call] = calls if len(calls) == 1 else [None]
    name, schema = tool["function"]["name"], tool["function"]["parameters"]
    return call is not None and call[0] == name and misfit(call[1], schema) is None
