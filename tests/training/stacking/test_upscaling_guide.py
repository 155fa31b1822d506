"""What docs/upscaling.md shows loads and runs, and its figures are those that come out."""

import re
from pathlib import Path

import yaml

from manifests.house import HOME
from manifests.load import load_kind
from manifests.recipes import list_recipes
from manifests.schema_surgery import Init, NewModel, Upscale
from manifests.schema_training import TrainingManifest
from training.flops import parameters
from training.stacking.layers import layers_of, solar
from training.stacking.options import asked_of
from training.stacking.report import StackReport, tables_of

GUIDE = (HOME / "docs/upscaling.md").read_text("utf-8")
LLAMA_3 = {
    "model_type": "llama", "vocab_size": 128_256, "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
}  # fmt: skip


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.DOTALL)


def test_manifests_load(tmp_path: Path) -> None:
    training, influence, scratch, new = blocks("yaml")
    for number, text in enumerate((training, scratch)):
        (tmp_path / f"{number}.yaml").write_text(text, "utf-8")
    deeper, from_scratch = (load_kind(TrainingManifest, str(tmp_path / f"{n}.yaml")) for n in range(2))
    stacked = deeper.stages[0]
    assert isinstance(stacked, Upscale) and layers_of(stacked, 32) == solar(32, 12)
    assert isinstance(from_scratch.base, NewModel)
    [chosen] = yaml.safe_load(influence)
    assert Upscale.model_validate(chosen).influence
    assert [Init.model_validate(stage).model for stage in yaml.safe_load(new)] == ["stacked", "base"]
    assert "kanana-base" in {recipe.name for recipe in list_recipes()}


def test_commands_and_code() -> None:
    [commands] = blocks("bash")
    for line in commands.splitlines():
        words = line.split("#")[0].split()[5:]
        options = dict(zip(words[::2], words[1::2], strict=True))
        given = {name.removeprefix("--"): value for name, value in options.items()}
        numbers = {name: int(given[name]) for name in ("drop", "to") if name in given}
        asked = asked_of(**(given | numbers))  # type: ignore[arg-type]
        assert asked.influence or len(layers_of(asked, 32)) in (40, 48)
    [code] = blocks("python")
    exec(compile(code, "docs/upscaling.md", "exec"), {})


def test_the_table_of_solar() -> None:
    """Of Llama 3's 8B, as it is printed."""
    sizes = [parameters(LLAMA_3 | {"num_hidden_layers": n}) for n in (32, 48)]
    before, after = (found.total for found in sizes if found)
    report = StackReport(
        model="base", layers=solar(32, 8), n_layers_before=32, start="copy", silent=[], n_tensors=0,
        n_parameters_before=before, n_parameters=after, n_bytes=0,
    )  # fmt: skip
    [table] = tables_of(report)
    [shown] = re.findall(r"(layers +of base.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    lines = [re.split(r"\s{2,}", line.strip()) for line in shown.splitlines()]
    assert lines[0] == table.columns and lines[-1] == [table.note]
    assert [[str(cell) for cell in row] for row in table.rows] == lines[1:-1]
