"""Recipes of trainings name what was published, and plan on a user's own files."""

import shutil
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import polars as pl
import pytest
import zstandard

from manifests.load import load_kind
from manifests.recipes import find_manifest, list_recipes, read_recipe
from manifests.schema_distillation import Distill
from manifests.schema_embedding import Contrast, Mntp
from manifests.schema_surgery import NewModel, Prune, Upscale
from manifests.schema_synthesis import FunctionCalling, GroundedQa, SynthesisManifest
from manifests.schema_training import Merge, TrainingManifest
from manifests.schema_training_preferences import Dpo, OnlineDpo, Reward
from manifests.schema_training_stages import Cpt, Sft
from tests.curation.mixture.mixtures import write_mixture
from tests.training.tiny import conversation, save_model, save_tokenizer
from training.flops import parameters
from training.inputs import mixture_paths
from training.new_models import new_config
from training.outlook import outlook
from training.schedules import deepseek_law
from training.stacking.layers import layers_of

RECIPES = [recipe.name for recipe in list_recipes() if recipe.kind == "training"]
PAIR = {"prompt": "질문", "chosen": "답", "rejected": "모름"}
CHAT = {"messages": conversation("질문", "답")}
SYNTHETIC = CHAT | PAIR | {"variety": "call"}
"""Of a folder that `onggi synth` writes, whatever a stage reads of it."""
INSTRUCTION = {"key": 1, "prompt": "?", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
"""Of IFEval."""
QUESTION = {"question": "1+1?", "choices": ["1", "2"], "answer": 1}


def stages_of(name: str) -> dict[str, Any]:
    return {stage.name: stage for stage in load_kind(TrainingManifest, find_manifest(name)).stages}


def test_dna_is_what_was_published() -> None:
    stages = stages_of("dna-1.0")
    kinds = ["cpt", "sft", "merge", "reward", "dpo", "online_dpo", "distill"]
    assert [stage.kind for stage in stages.values()] == kinds
    merge, dpo, online = stages["merged"], stages["dpo"], stages["online"]
    assert isinstance(merge, Merge) and merge.rule.method == "slerp" and merge.sweep == [0.3, 0.5, 0.7]
    assert [model.model for model in merge.rule.models] == ["sft", "models/Llama-3.1-8B-Instruct"]
    assert isinstance(dpo, Dpo) and (dpo.epochs, dpo.learning_rate, dpo.beta) == (2, 1e-6, 0.1)
    assert [entry.limit for entry in dpo.data] == [80_000]
    assert isinstance(online, OnlineDpo) and online.beta == 0.1
    distilled = stages["distilled"]
    assert isinstance(distilled, Distill) and distilled.off_policy is not None
    assert (distilled.loss, distilled.teacher) == ("skew_kl", "models/Llama-3.1-405B-Instruct")
    assert isinstance(stages["cpt"], Cpt) and stages["cpt"].mixture[0].path == "out/dna-cpt"
    [mixture] = [line for line in read_recipe("dna-cpt").splitlines() if line.startswith("output:")]
    assert mixture == "output: out/dna-cpt"
    assert all(("accuracy", 0.05) in [(gate.gate, getattr(gate, "max_fall", 0)) for gate in stages[name].gates]
               for name in ("cpt", "sft", "merged", "online", "distilled"))  # fmt: skip


def test_kanana_is_what_was_published() -> None:
    stages = stages_of("kanana-post")
    assert [stage.kind for stage in stages.values()] == ["sft", "reward", "dpo", "online_dpo"]
    sft, reward, dpo, online = stages.values()
    assert isinstance(sft, Sft) and isinstance(reward, Reward) and isinstance(dpo, Dpo)
    weights = {entry.domain: entry.weight or 0 for entry in sft.data}
    assert weights == {"code": 492, "maths": 260, "instructions": 230, "chat": 120, "safety": 96}
    shares = {domain: round(100 * weight / sum(weights.values()), 1) for domain, weight in weights.items()}
    assert shares == {"code": 41.1, "maths": 21.7, "instructions": 19.2, "chat": 10.0, "safety": 8.0}
    limits = {entry.domain: entry.limit or 0 for entry in dpo.data}
    assert {domain: round(100 * limit / 407_000, 1) for domain, limit in limits.items()} == {
        "instructions": 32.9, "code": 31.7, "chat": 23.3, "maths": 12.0,
    }  # fmt: skip
    assert 406_000 < sum(limits.values()) <= 407_000
    assert reward.model == "sft" and reward.best_of_n is not None
    assert isinstance(online, OnlineDpo) and online.asynchronous
    assert (online.model, online.reference, online.refresh_reference) == ("dpo", "dpo", None)


def test_kananas_base_models_are_what_was_published() -> None:
    stages = stages_of("kanana-base")
    kinds = ["cpt", "cpt", "upscale", "cpt", "prune", "distill", "prune", "distill"]
    assert [stage.kind for stage in stages.values()] == kinds
    stacked, essence = stages["stacked"], stages["essence"]
    assert isinstance(stacked, Upscale) and stacked.to == 40 and stacked.start == "copy"
    assert layers_of(stacked, 32) == [*range(20), *range(12, 32)]
    assert [use.stage for use in essence.mixture] == ["stage1", "stage2"]
    text = read_recipe("kanana-dus-cpt")
    assert text.count("tokens: 100B") == 2 and "\noutput: out/kanana-dus-cpt\n" in text
    assert "\noutput: out/kanana\n" in read_recipe("kanana")
    for stage in (stages["stage1"], stages["stage2"], essence):
        assert isinstance(stage, Cpt) and stage.z_loss == 5e-6
        assert (stage.optimizer.weight_decay, stage.optimizer.decay) == (1e-4, "independent")
    for name in ("nano-4b", "nano-2b"):
        stage = stages[name]
        assert isinstance(stage, Distill) and (stage.teacher, stage.loss) == ("stage2", "forward_kl")
        assert (stage.learning_rate, stage.batch, stage.schedule.warmup) == (1.2e-4, 512, 100)
    assert stages["stage1"].law.compute == 6 * 8e9 * 3e12
    learning_rate, batch_tokens = deepseek_law(1.44e23)
    assert (round(learning_rate, 6), round(batch_tokens / 1e6, 2)) == (3.97e-4, 10.98)
    assert stages["stage2"].batch == round(batch_tokens / 8192)


def test_kananas_base_models_have_their_sizes(tmp_path: Path) -> None:
    """8.03B, 9.775B, 4.5B, 2.087B, by their geometry and Llama 3's 128,256 tokens; no cut is of more than half."""
    stages = stages_of("kanana-base")
    base = load_kind(TrainingManifest, find_manifest("kanana-base")).base
    assert isinstance(base, NewModel)
    config = new_config(base, save_tokenizer(tmp_path)) | {"vocab_size": 128_256}
    essence = parameters(config | {"num_hidden_layers": stages["stacked"].to})
    found = {"8b": parameters(config), "essence": essence}
    for name in ("cut-4b", "cut-2b"):
        stage = stages[name]
        assert isinstance(stage, Prune) and stage.to is not None
        assert stage.calibration is not None and stage.calibration.samples == 1024
        found[name] = parameters(config | stage.to.given() | {"tie_word_embeddings": stage.tie_embeddings})
    sizes = {name: round(of.total / 1e9, 3) for name, of in found.items() if of}
    assert sizes == {"8b": 8.03, "essence": 9.775, "cut-4b": 4.475, "cut-2b": 2.087}
    layers = [of.layers for name, of in found.items() if of and name != "essence"]
    assert all(after / before >= 0.5 for before, after in pairwise(layers))


def test_the_embedding_model_is_llm2vecs() -> None:
    mntp, contrast = stages_of("kanana-embedding").values()
    assert isinstance(mntp, Mntp) and isinstance(contrast, Contrast)
    assert (mntp.mask, mntp.replace, mntp.mask_token, mntp.steps, mntp.batch) == (0.2, "bert", "_", 1000, 32)
    assert (contrast.pooling, contrast.temperature, contrast.max_length) == ("mean", 0.02, 512)
    assert (contrast.learning_rate, contrast.steps, contrast.batch, contrast.schedule.warmup) == (
        2e-4,
        1000,
        512,
        300,
    )
    assert mntp.schedule.kind == contrast.schedule.kind == "constant"  # a fall over 1000 steps is not LLM2Vec's
    assert {item.instruction for item in contrast.retrieval} == {entry.instruction for entry in contrast.data} != {""}
    assert mntp.lora is not None and contrast.lora is not None and mntp.lora.rank == contrast.lora.rank == 16
    assert contrast.bidirectional


def test_retrieval_is_what_was_published() -> None:
    """Figure 6: gates at 9 and 10, SFT, DPO, and a merge with the instruct model that it began with."""
    synqa, dpo, merged = stages_of("kanana-rag").values()
    assert isinstance(synqa, Sft) and isinstance(dpo, Dpo) and isinstance(merged, Merge)
    assert {entry.domain for entry in synqa.data} == {"synqa", "structlm", "followrag", "replay"}
    made = load_kind(SynthesisManifest, find_manifest("grounded-qa"))
    assert isinstance(made.task, GroundedQa) and (made.task.first_gate, made.task.second_gate) == (9, 10)
    assert made.task.pairs and synqa.data[0].path == dpo.data[0].path == made.output.path
    assert [model.model for model in merged.rule.models] == ["synqa-dpo", "base"]
    for figure in ("40.66", "62.40", "63.09", "53.09", "78.44"):
        assert figure in read_recipe("kanana-rag")


def test_function_calling_is_what_was_published() -> None:
    """English first, then Korean alone, in the benchmark's four turn types."""
    domain, korean = stages_of("kanana-function-calling").values()
    assert isinstance(domain, Sft) and isinstance(korean, Sft)
    assert [entry.domain for entry in domain.data] == ["gfc-v1", "gfc-v2", "xlam", "sgd"]
    made = load_kind(SynthesisManifest, find_manifest("function-calling"))
    assert isinstance(made.task, FunctionCalling)
    turns = [entry for entry in korean.data if entry.path == made.output.path]
    assert {entry.domain: entry.where for entry in turns} == {turn: f"variety = '{turn}'" for turn in made.task.turns}


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_not_published_says_so(name: str) -> None:
    """Learning rates and batches are ours, except where a source tells them."""
    lines = read_recipe(name).splitlines()
    published = {("1.0e-6", "dna-1.0"), ("1.2e-4", "kanana-base"), ("512", "kanana-base")}
    for line in lines:
        field, _, value = line.strip().partition(": ")
        if field in ("learning_rate", "batch", "t", "n", "temperature"):
            is_told = "# ours" in line or "# LLM2Vec" in line
            assert is_told or (value.split()[0], name) in published, line


def lay_out(folder: Path, manifest: TrainingManifest) -> None:
    """Models and files where the recipe looks for them."""
    tiny = save_model(folder / "tiny")
    models = [manifest.base.tokenizer if isinstance(manifest.base, NewModel) else manifest.base]
    mixture, made = write_mixture(folder / "mixture").path, [stage.name for stage in manifest.stages]
    for stage in manifest.stages:
        if isinstance(stage, Merge):
            models += [model.model for model in stage.rule.models if "/" in model.model]
        for path in mixture_paths(stage):
            shutil.copytree(mixture, folder / path, dirs_exist_ok=True)
        for entry in stage.data if isinstance(stage, Sft | Reward | Dpo | Distill) else ():
            is_folder = not Path(entry.path).suffix
            row = SYNTHETIC if is_folder else CHAT if isinstance(stage, Sft | Distill) else PAIR
            write(folder / entry.path / "rows.jsonl" if is_folder else folder / entry.path, row)
        if isinstance(stage, Contrast):
            lay_out_texts(folder, stage)
        if isinstance(stage, Distill) and stage.teacher and stage.teacher not in [*models, *made]:
            models.append(stage.teacher)
        if isinstance(stage, OnlineDpo):
            write(folder / stage.prompts, {"prompt": "질문"})
        if isinstance(stage, Reward) and stage.best_of_n:
            write(folder / stage.best_of_n.prompts, {"prompt": "질문", "answer": "답"})
    for item in manifest.evaluation.benchmarks if manifest.evaluation else ():
        write(folder / str(item.data), INSTRUCTION)
    for model in models:
        shutil.copytree(tiny, folder / model)
    for item in manifest.validation:
        write(folder / str(item.text or item.choices), QUESTION if item.choices else {"text": "글"})
    if manifest.prompts:
        write(folder / manifest.prompts.path, {"prompt": "질문"})


def lay_out_texts(folder: Path, stage: Contrast) -> None:
    for entry in stage.data:
        write(folder / entry.path, {"query": "질문", "positive": "답", "negative": "모름"})
    for item in stage.retrieval:
        write(folder / item.queries, {"id": "1", "text": "질문"})
        write(folder / item.corpus, {"id": "1", "text": "답"})
        (folder / item.qrels).write_text("query-id\tcorpus-id\tscore\n1\t1\t1\n")


def write(pattern: Path, row: dict[str, Any]) -> None:
    path = Path(str(pattern).replace("*", "part"))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pl.DataFrame([row]).write_parquet(path)
        return
    line = orjson.dumps(row) + b"\n"
    path.write_bytes(zstandard.compress(line) if path.suffix == ".zst" else line)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_plans(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk with room for models of their true sizes, which a new base has."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 50))
    manifest = load_kind(TrainingManifest, find_manifest(name))
    lay_out(tmp_path, manifest)
    found = outlook(manifest, str(tmp_path))
    assert found.problems == []
    assert all(stage.n_tokens for stage in found.stages if stage.kind not in ("merge", "upscale", "prune"))
    assert not any(stage.is_done for stage in found.stages)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_without_its_files_says_all_that_is_missing(name: str, tmp_path: Path) -> None:
    manifest = load_kind(TrainingManifest, find_manifest(name))
    told = "\n".join(outlook(manifest, str(tmp_path)).problems)
    base = manifest.base.tokenizer if isinstance(manifest.base, NewModel) else manifest.base
    prompts = [stage.prompts for stage in manifest.stages if isinstance(stage, OnlineDpo)]
    read = [manifest.prompts.path] if manifest.prompts else mixture_paths(manifest.stages[0])
    validation = [str(item.text or item.choices) for item in manifest.validation]
    for path in (base, *validation, *prompts, *read):
        assert str(path) in told, path
