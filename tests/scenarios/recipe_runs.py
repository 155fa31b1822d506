"""The recipes of synthetic data, small: their seeds, and what is set so that a weak teacher on a CPU can run them."""

from pathlib import Path

from manifests.load import load_kind
from manifests.recipes import find_manifest
from manifests.schema_synthesis import SynthesisManifest
from tests.conftest import REPOSITORY

SEEDS = REPOSITORY / "tests/synth/recipe_seeds"
SAMPLE = REPOSITORY / "manifests/sample"

_DOCUMENTS = [
    f"seeds.0.path={SAMPLE}/en_docs.parquet",
    "seeds.0.id=url",
    "seeds.0.language=null",
    "seeds.0.where=length(text) > 400 and length(text) < 1500",
    "seeds.0.limit=3",
]

CHANGES: dict[str, list[str]] = {
    "reasoning-ko": [f"seeds.0.path={SEEDS}/questions_ko.jsonl", "seeds.0.limit=10", "task.samples=2"],
    "reasoning-en": [f"seeds.0.path={SEEDS}/questions_en.jsonl", "seeds.0.limit=10", "task.samples=2"],
    "hard-maths": [
        f"seeds.0.path={SEEDS}/questions_en.jsonl",
        "seeds.0.answer_after='####'",
        "seeds.0.limit=4",
        "task.samples=4",
        "task.keep=2",
        "task.pass_frac=[0.2, 0.9]",
    ],
    "grounded-qa": [*_DOCUMENTS, "task.first_gate=3", "task.second_gate=4"],
    "rephrase": [
        f"seeds=[{{path: {SAMPLE}/en_docs.parquet, id: url, license: license, limit: 2, set: {{quality: high}}, "
        f"where: 'length(text) > 400 and length(text) < 1500'}}, {{path: {SAMPLE}/ko_docs.jsonl.zst, id: url, "
        "license: license, limit: 2, set: {quality: low}, where: 'length(text) > 400 and length(text) < 1000'}]"
    ],
    "instructions-ko": [f"seeds.0.path={SEEDS}/instructions_ko.jsonl", "task.count=3", "task.per_request=2"],
    "translate-en-ko": [f"seeds.0.path={SEEDS}/instructions_en.jsonl", "seeds.0.limit=5"],
    "function-calling": [
        f"seeds=[{{path: {SEEDS}/functions.jsonl, tools: tools, set: {{language: ko}}}}]",
        "task.per_function=2",
        "task.tools=[1_exact, 4_random]",
    ],
    "preferences": [
        f"seeds.0.path={SEEDS}/instructions_en.jsonl",
        "seeds.0.limit=5",
        "task.samples=3",
        "task.min_margin=1",
    ],
    "edu-annotations": [*_DOCUMENTS, "seeds.0.source=null"],
}
"""What is set in each recipe; thresholds that a small model never reaches are lowered, none is taken away."""

BENCHMARK = f"{SEEDS}/benchmark.jsonl"


def recipe(name: str, output: Path, **teacher: object) -> SynthesisManifest:
    """A recipe made small, with another teacher: `url` or `replay`, and `model`.

    Gates against benchmarks look for the few items of a file beside the seeds, since none of those that they name may
    lie in the repository.
    """
    path = find_manifest(name)
    plain = load_kind(SynthesisManifest, path)
    changes = [*CHANGES[name], f"output={output}"]
    backend = "{" + ", ".join(f"{key}: {value}" for key, value in teacher.items()) + "}"
    tokens = min(plain.teacher.sampling.max_tokens, 200)
    changes += ["task.attempts=2", f"teacher={backend}", f"teacher.sampling.max_tokens={tokens}"]
    changes += [f"teacher.sampling.temperature={plain.teacher.sampling.temperature}"]
    changes += ["judge=null"] if plain.judge else []
    changes += [
        f"gates.{number}.{field}={value}"
        for number, gate in enumerate(plain.gates)
        if gate.gate == "decontaminate"
        for field, value in (("against", f"[{BENCHMARK}]"), ("data_dir", "null"))
    ]
    return load_kind(SynthesisManifest, path, changes)
