"""Onggi: raw Korean and English data in; a curated corpus, a ledger of every record and a report out."""

import gc
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

try:
    import manifests
    from manifests.code import version
    from manifests.errors import OnggiError, RequestError, RunError
    from manifests.house import check_packages
except ImportError as error:  # another package of this name comes first
    found = getattr(sys.modules.get("manifests"), "__file__", None) or ""
    if Path(found).resolve().parent.parent == Path(__file__).resolve().parent:
        raise
    sys.stderr.write(
        f"onggi: {error}: package `manifests` was imported from {found}, which is not Onggi's "
        f"({Path(__file__).parent}): remove or rename it, or run from another folder\n"
    )
    sys.exit(2)

if TYPE_CHECKING:
    from curation.mixture.outlook import Outlook
    from curation.mixture.record import MixtureRecord
    from curation.mixture.survey import MixJob
    from curation.pipeline import Job
    from curation.tune import Answer, Document, Target
    from curation.tune_survey import Estimate, Survey
    from manifests.engine import Workers
    from manifests.record import ListRecord, RunRecord
    from manifests.schema import CorpusManifest
    from manifests.schema_synthesis import SynthesisManifest
    from manifests.schema_training import TrainingManifest
    from manifests.store import Folder
    from synth.outlook import Outlook as SynthesisOutlook
    from synth.record import SynthesisRecord
    from synth.summary_models import Example
    from training.experiments.outlook import ExperimentOutlook
    from training.experiments.summary_models import ExperimentSummary
    from training.merging.report import MergeReport
    from training.outlook import TrainingOutlook
    from training.pruning.report import Pruned
    from training.stacking.report import StackReport
    from training.summary_models import Verdict

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `onggi demo`. Exit codes: 0 done, 1 the run failed, 2 the request is wrong.",
)
SAMPLE = Path(manifests.__file__).parent / "sample"
ON_THE_SAMPLE = ("demo", "ladder")
"""Recipes whose relative paths start at the sample's folder; what they make goes to the current one."""

INTERRUPTED = 130
"""What Typer exits with on Ctrl-C."""

SHOWN_CHARS = 70
"""Of what is known of a sample, in a table."""

N_PARTS = 20
"""Rows of languages and sources that a plan shows."""

_PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "emoji": False}
"""How text of strangers is printed."""

out = Console()
err = Console(stderr=True)

Manifest = Annotated[str, typer.Argument(help="Manifest: a YAML file, or the name of a recipe.", metavar="MANIFEST")]
Run = Annotated[str, typer.Argument(help="Folder of a complete run.", metavar="RUN")]
Output = Annotated[str | None, typer.Option("--output", "-o", help="Folder to write to, instead of the manifest's.")]
NWorkers = Annotated[int, typer.Option("--workers", "-w", min=1, help="Processes; the result does not depend on it.")]
Scheduler = Annotated[
    str | None, typer.Option(metavar="tcp://...", help="Run on the Dask cluster at this address instead.")
]
MemoryLimit = Annotated[
    str | None, typer.Option(metavar="4GB", help="Memory of each worker; by default they share the machine's.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Runs at once; what comes of them is the same.")]
Processes = Annotated[
    int | None, typer.Option(min=1, help="Processes that train together; without it one per GPU, or one.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="RULE=VALUE", help="Another threshold, as gopher.word_count=40. Repeatable."),
]


@app.command()
def demo(output: Output = None, workers: NWorkers = 1) -> None:
    """Curate the bundled sample and say where its report is: the two-minute tour."""
    record, folder = _curate("demo", output or "demo", _workers(workers), None, [])
    _print_run(record)
    out.print(f"\nOpen the report:   {folder}/report.html", soft_wrap=True)
    out.print(f"Another threshold: onggi decide {folder} --set gopher.word_count_min=20", soft_wrap=True)
    out.print("Your own data:     onggi recipes minimal > web.yaml, edit it, onggi curate web.yaml", soft_wrap=True)


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="Recipe to print.")] = None,
    rulesets: Annotated[bool, typer.Option("--rulesets", help="List the shipped rulesets instead.")] = False,
) -> None:
    """List the shipped manifests, or print one to start from."""
    from manifests.load import COMMANDS
    from manifests.recipes import list_recipes, read_recipe

    if rulesets:
        _print_rulesets()
        return
    if name:
        sys.stdout.write(read_recipe(name))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("recipe", style="bold", no_wrap=True)
    table.add_column("runs with", no_wrap=True)
    table.add_column("what it is")
    kinds = list(COMMANDS)
    for recipe in sorted(list_recipes(), key=lambda recipe: kinds.index(recipe.kind)):
        table.add_row(recipe.name, COMMANDS[recipe.kind], recipe.summary)
    out.print(table)


def _print_rulesets() -> None:
    from curation.rulesets import load_ruleset, shipped_names

    for ruleset in (load_ruleset(name, _here()) for name in shipped_names()):
        out.print(f"[bold]{ruleset.name}[/]  {ruleset.source}", highlight=False)
        out.print(_table(["", "keeps where", ""], [(rule.name, rule.keep, rule.doc) for rule in ruleset.rules]))


@app.command()
def plan(
    manifest: Manifest,
    output: Output = None,
    workers: NWorkers = 1,
    overrides: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Resolve and validate a manifest, and estimate records, memory, disk and time; nothing is written."""
    from curation.addresses.columns import recorded_lists
    from curation.plan import estimate
    from curation.plan_disk import free_bytes

    job = _job(manifest, output, _workers(workers), overrides or [])
    with _status("measuring a sample"):
        found = estimate(job)
    free = free_bytes(job.output)
    if as_json:
        totals = {name: getattr(found, name) for name in ("n_records", "seconds", "ram_bytes", "disk_bytes")}
        asked = {"manifest": job.manifest.model_dump(mode="json"), "n_workers": job.n_workers}
        lists = {name: of.model_dump() for name, of in recorded_lists(job.manifest.measure).items()}
        asked["blocklists"] = lists
        _print_json({**asked, "estimate": found, "totals": totals, "disk_free_bytes": free})
        return
    _print_plan(job, found, free)


@app.command()
def curate(
    manifest: Manifest,
    output: Output = None,
    workers: NWorkers = 1,
    scheduler: Scheduler = None,
    memory_limit: MemoryLimit = None,
    sample: Annotated[str | None, typer.Option(metavar="1%", help="Preview on a share of the records.")] = None,
    overrides: Sets = None,
    skip_disk_check: Annotated[
        bool, typer.Option("--skip-disk-check", help="Start even where the disk seems too small.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure, decide, write and report. A killed run goes on where it was; a finished one is not done again."""
    asked = _workers(workers, scheduler, memory_limit)
    record, folder = _curate(manifest, output, asked, sample, overrides or [], skip_disk_check)
    if as_json:
        _print_json(record.model_dump(mode="json"))
    else:
        _print_run(record)
        out.print(f"\nReport: {folder}/report.html", soft_wrap=True)


@app.command()
def decide(
    run: Run,
    manifest: Annotated[str | None, typer.Option(help="Manifest with other rules, dedup or output settings.")] = None,
    overrides: Sets = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="New run's folder; without it RUN is changed.")
    ] = None,
    workers: NWorkers = 1,
    scheduler: Scheduler = None,
    memory_limit: MemoryLimit = None,
    as_json: AsJson = False,
) -> None:
    """New thresholds over measured columns, without measuring again."""
    from curation.addresses.columns import lists_gone
    from curation.pipeline import changed_manifest, decide_again
    from manifests.record import read_record
    from manifests.store import Folder, resolve

    folder = Folder(resolve(run, _here()))
    of_manifest, thresholds = _split_overrides(overrides or [])
    if of_manifest and not manifest:
        raise RequestError(f"--set {of_manifest[0]}: changes a field of a manifest: give one with --manifest")
    written, base = _load(manifest, of_manifest) if manifest else (None, _here())
    chosen = changed_manifest(folder, written, base, thresholds)
    recorded = read_record(folder, interrupted=True).blocklists
    for name in lists_gone(folder.path, recorded, chosen.measure):
        said = f"blocklists.{name}: the list cannot be read any more; what it held when it was measured counts"
        err.print(f"note: {said}", soft_wrap=True, **_PLAIN)
    asked = _workers(workers, scheduler, memory_limit)
    with _progress() as progress:
        record = decide_again(folder, chosen, resolve(output or folder.path, _here()), asked, progress)
    if as_json:
        _print_json(record.model_dump(mode="json"))
    else:
        _print_run(record)


@app.command()
def diff(old: Run, new: Run, as_json: AsJson = False) -> None:
    """Documents gained and lost from one run to another, by reason and source, with samples."""
    from curation.diff import diff as compare
    from manifests.record import read_record
    from manifests.store import Folder, resolve

    folders = [Folder(resolve(path, _here())) for path in (old, new)]
    for folder in folders:
        read_record(folder)
    counts, samples = compare(*folders)
    if as_json:
        _print_json({"counts": counts.to_dicts(), "samples": samples.to_dicts()})
        return
    if counts.is_empty():
        out.print("No difference: every record has the same verdict for the same reason in both runs.")
        return
    out.print(_table(["change", "source", "before", "after", "documents"], counts.rows()))
    for row in samples.to_dicts():
        measured = f" {row['value']:.4g} against {row['threshold']:.4g}" if row["threshold"] is not None else ""
        out.print(
            f"\n[bold]{row['change']}[/] {row['id']}  {row['before']} -> {row['after']}{measured}", soft_wrap=True
        )
        out.print(" ".join((row["snippet"] or "(its text was not stored)").split()), markup=False, style="dim")


@app.command()
def explain(
    run: Run,
    id_: Annotated[
        str, typer.Argument(help="Id of a document, or its first digits; @N or @N:T in a mixture.", metavar="ID")
    ],
    as_json: AsJson = False,
) -> None:
    """The life of one document: every measure, verdict and duplicate, or where it stands in a mixture. The first
    digits of its id suffice. In a mixture, @N is its sequence N, and @N:T the document at token T of that."""
    from curation.explain import explain as tell
    from manifests.store import Folder, resolve

    folder = Folder(resolve(run, _here()))
    if _is_mixture(folder):
        _explain_mixture(folder, id_, as_json)
        return
    stories = tell(folder, id_)
    if as_json:
        _print_json(stories)
        return
    for story in stories:
        _print_story(story)


@app.command()
def report(run: Run) -> None:
    """Write the report of a run again: one static HTML file."""
    from curation.pipeline import SUMMARY, write_report
    from curation.summary_models import Summary
    from manifests.record import RECORD, read_record
    from manifests.store import Folder, resolve

    folder = Folder(resolve(run, _here()))
    if not folder.exists(RECORD) and _is_experiment(folder):
        _report_of_experiment(folder)
        return
    record = read_record(folder, kind=None)
    if record.kind == "classifier":
        from synth.annotations.classifier_run import write_classifier_report

        out.print(write_classifier_report(folder, record), soft_wrap=True)
        return
    if record.kind == "mixture":
        from curation.mixture.pipeline import write_mixture_report
        from curation.mixture.record import read_mixture

        out.print(write_mixture_report(folder, read_mixture(folder)), soft_wrap=True)
        return
    if record.kind == "synthesis":
        from synth.pipeline import write_synthesis_report
        from synth.record import read_synthesis

        out.print(write_synthesis_report(folder, read_synthesis(folder)), soft_wrap=True)
        return
    if record.kind == "evaluation":
        from training.evaluating.evaluation import write_evaluation_report

        out.print(write_evaluation_report(folder), soft_wrap=True)
        return
    if record.kind in ("ablation", "ladder"):
        _report_of_experiment(folder)
        return
    out.print(write_report(folder, record, Summary.model_validate(folder.read_json(SUMMARY))), soft_wrap=True)


def _is_experiment(folder: "Folder") -> bool:
    """Also one of which runs failed, and which therefore has no record."""
    from training.experiments.record import holds_experiment

    return holds_experiment(folder)


def _report_of_experiment(folder: "Folder") -> None:
    from training.experiments.ablate import write_experiment_report

    out.print(write_experiment_report(folder), soft_wrap=True)


@app.command()
def classifier(
    manifest: Manifest,
    output: Output = None,
    workers: NWorkers = 1,
    scheduler: Scheduler = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Another value, as stop.rounds=3.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train, evaluate and iterate a classifier: a teacher labels what it finds. A killed run goes on where it was."""
    from manifests.load import load_kind
    from manifests.schema_classifier import ClassifierManifest
    from manifests.store import resolve
    from synth.annotations.classifier_run import run_classifier

    path, base = _found(manifest)
    chosen = load_kind(ClassifierManifest, path, overrides or [])
    folder = resolve(output, _here()) if output else None
    with _progress() as progress:
        record, summary, folder = run_classifier(chosen, base, folder, _workers(workers, scheduler), progress)
    if as_json:
        _print_json({"run": record.model_dump(mode="json"), "summary": summary.model_dump(mode="json")})
        return
    for found in summary.rounds:
        mark = "*" if found.number == summary.chosen else " "
        out.print(f"{mark} round {found.number}: {found.headline}", highlight=False, soft_wrap=True)
    out.print(
        f"\nModel:  onggi score {chosen.name}={folder}/model IN OUT\nReport: {folder}/report.html", soft_wrap=True
    )


@app.command()
def mix(
    manifest: Manifest,
    output: Output = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only tell what would be taken, what is missing, and what it would cost.")
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="With --plan: count all tokens, however long it takes.")
    ] = False,
    search: Annotated[
        bool, typer.Option("--search", help="Only look for weights of the sources, by small models that are trained.")
    ] = False,
    workers: NWorkers = 1,
    scheduler: Scheduler = None,
    memory_limit: MemoryLimit = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Another value, as sequence_length=4096.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build a token mixture: packed sequences in the order of training, with a ledger of what was taken. A killed one
    goes on where it was."""
    from curation.mixture.pipeline import mix as run_mix
    from curation.mixture.survey import prepare
    from manifests.load import load_kind
    from manifests.schema_mixture import MixtureManifest
    from manifests.store import resolve

    if exact and not plan:
        raise RequestError("--exact goes with --plan; a mixture is always exact")
    if search and plan:
        raise RequestError("--plan and --search: give one; both write no mixture")
    path, base = _found(manifest)
    chosen = load_kind(MixtureManifest, path, overrides or [])
    job = prepare(
        chosen, base, resolve(output, _here()) if output else None, _workers(workers, scheduler, memory_limit)
    )
    if plan:
        _plan_mixture(job, exact, as_json)
        return
    if search:
        _search_mixture(job, as_json)
        return
    with _progress() as progress:
        record = run_mix(job, progress)
    if as_json:
        _print_json(record.model_dump(mode="json"))
    else:
        _print_mixture(record, job.output)


def _plan_mixture(job: "MixJob", exact: bool, as_json: bool) -> None:
    from curation.mixture.outlook import outlook
    from curation.plan_disk import free_bytes
    from manifests.engine import open_engine

    with _progress() as progress, open_engine(job.workers) as engine:
        found = outlook(job, engine, progress, exact=exact)
    if as_json:
        _print_json(found)
    else:
        _print_outlook(found, job.workers.n_workers, free_bytes(job.output))
    if found.problem:
        raise RequestError(found.problem)


def _search_mixture(job: "MixJob", as_json: bool) -> None:
    from training.searching.search import search as run_search
    from training.searching.search import weights_yaml

    with _progress() as progress:
        found = run_search(job, progress)
    if as_json:
        _print_json(found.model_dump(mode="json"))
        return
    rows = [
        (of.name, f"{of.weight:.1%}", f"{of.low:.1%} to {of.high:.1%}", f"{of.natural:.1%}") for of in found.sources
    ]
    out.print(_table(["source", "weight", "interval, 95%", "as it is"], rows))
    for sentence in found.words:
        out.print(sentence, soft_wrap=True, **_PLAIN)
    out.print(f"\n{weights_yaml(found.weights)}\nReport: {job.output}/search/report.html", soft_wrap=True, **_PLAIN)


@app.command()
def synth(
    manifest: Manifest,
    output: Output = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Another value, as seeds.0.limit=20.")
    ] = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Only check all, and tell what would be asked first and cost; nobody is asked."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make synthetic data: a teacher writes, what it wrote is verified and passes gates. A killed run goes on, and no
    answer is paid twice."""
    from manifests.load import load_kind
    from manifests.schema_synthesis import SynthesisManifest
    from manifests.store import resolve
    from synth.pipeline import synthesize

    path, base = _found(manifest)
    chosen = load_kind(SynthesisManifest, path, overrides or [])
    named = resolve(output, _here()) if output else None
    if plan:
        _plan_synthesis(chosen, base, named, as_json)
        return
    with _progress() as progress:
        record, folder = synthesize(chosen, base, named, progress)
    if as_json:
        _print_json(record.model_dump(mode="json"))
    else:
        _print_synthesis(record, folder)
    if record.n_unanswered:
        raise RunError(
            f"{record.n_unanswered:,} samples have no answer ({record.unanswered_why}); they are in "
            f"{folder}/rejected as `no_answer`; run the same command again to ask for them"
        )


def _plan_synthesis(chosen: "SynthesisManifest", base: str, output: str | None, as_json: bool) -> None:
    from synth.outlook import outlook

    with _progress() as progress:
        found = outlook(chosen, base, output, progress)
    if as_json:
        _print_json(found)
    else:
        _print_synthesis_outlook(found)


@app.command()
def train(
    manifest: Manifest,
    output: Output = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Another value, as stages.sft.epochs=2.")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only check all, and tell what each stage would take; nothing is trained.")
    ] = False,
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Train in stages: each goes on from what an earlier one made, is measured, and has to pass its gates. A killed
    run goes on where it was, to the same bits."""
    from manifests.load import load_kind
    from manifests.schema_training import TrainingManifest
    from manifests.store import resolve
    from training.stages import train as run_training

    path, base = _found(manifest)
    chosen = load_kind(TrainingManifest, path, overrides or [])
    named = resolve(output, _here()) if output else None
    if plan:
        _plan_training(chosen, base, named, as_json)
        return
    with _progress() as progress:
        record, folder = run_training(chosen, base, named, progress, processes)
    if as_json:
        _print_json(record.model_dump(mode="json"))
    else:
        _print_training(folder)


def _plan_training(chosen: "TrainingManifest", base: str, output: str | None, as_json: bool) -> None:
    from training.outlook import outlook

    found = outlook(chosen, base, output)
    if as_json:
        _print_json(found.model_dump(mode="json"))
    else:
        _print_training_outlook(found)
    if found.problems:
        raise RequestError("\n".join(found.problems))


@app.command()
def merge(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL...", help="Folders of checkpoints; of slerp the first is t = 0, the second 1."),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", help="Folder of the new checkpoint.", show_default=False)
    ] = "",
    method: Annotated[
        Literal["slerp", "linear", "task_arithmetic", "ties", "dare_linear", "dare_ties"],
        typer.Option(help="How they are merged."),
    ] = "slerp",
    t: Annotated[
        list[str] | None,
        typer.Option(
            "--t",
            metavar="[PART=]T",
            help="Of slerp: 0.5, a gradient 0,0.5,1, or for a part of names mlp=0.3; repeatable.",
        ),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="What changes are counted from, for all but slerp and linear.")
    ] = None,
    weight: Annotated[
        list[str] | None, typer.Option(help="Of each model, in their order: a number or a gradient. Repeatable.")
    ] = None,
    density: Annotated[
        list[str] | None, typer.Option(help="Share of changes that ties and dare keep: one, or one per model.")
    ] = None,
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"] | None, typer.Option(help="Of the weights; else the first model's.")
    ] = None,
    tokenizer: Annotated[
        Literal["same", "first", "union"],
        typer.Option(help="What is done where vocabularies differ; `same` refuses."),
    ] = "same",
    rule: Annotated[
        str | None, typer.Option("--rule", metavar="FILE", help="YAML with all of this instead, as in a manifest.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what dare draws.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Merge checkpoints into one, tensor by tensor, and tell how far apart they are."""
    from manifests.load import load_rule
    from manifests.store import resolve
    from training.merging.merge import merge as run_merge
    from training.merging.options import rule_of

    if not output:
        raise RequestError("--output: missing; name the folder of the new checkpoint")
    given = [t, base, weight, density, dtype]
    if rule and (models or any(given) or method != "slerp" or tokenizer != "same"):
        raise RequestError("--rule: all that is merged stands in the file; leave models and other options out")
    path = resolve(rule, _here()) if rule else ""
    chosen = load_rule(path) if rule else rule_of(method, models or [], t, base, weight, density, dtype, tokenizer)
    start = str(Path(path).parent) if rule else _here()
    names = [item.model for item in chosen.models] + ([chosen.base] if chosen.base else [])
    folders = {name: Path(resolve(name, start)) for name in names}
    with _progress() as progress:
        done = run_merge(chosen, folders, Path(resolve(output, _here())), seed=seed, progress=progress)
    if as_json:
        _print_json(done.model_dump(mode="json"))
    else:
        _print_merge(done, output)


@app.command()
def upscale(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder of a checkpoint.")],
    output: Annotated[str, typer.Option("--output", "-o", help="Folder of the new checkpoint.", show_default=False)],
    drop: Annotated[
        int | None, typer.Option(min=0, help="SOLAR's m: two copies, without the last m layers and the first m.")
    ] = None,
    to: Annotated[int | None, typer.Option(min=1, help="Number of layers instead: 32 to 40 is --drop 12.")] = None,
    layers: Annotated[
        str | None,
        typer.Option(metavar="0-24,8-32", help="Which layers, from 0: numbers and spans; the end is not included."),
    ] = None,
    text: Annotated[
        str | None, typer.Option(metavar="FILE", help="With --to: choose layers by what they do to these texts.")
    ] = None,
    mixture: Annotated[
        str | None, typer.Option(metavar="RUN", help="The same by a token mixture's sequences.")
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Texts or sequences that are read; 128.")] = None,
    repeat: Annotated[
        Literal["least", "most"] | None, typer.Option(help="Whether those that do least are there twice, or most.")
    ] = None,
    start: Annotated[
        Literal["copy", "identity"], typer.Option(help="`identity`: second copies change nothing at first.")
    ] = "copy",
    as_json: AsJson = False,
) -> None:
    """Make a model deeper, of its own layers bit by bit (depth up-scaling)."""
    from manifests.store import resolve
    from training.stacking.options import asked_of, upscale_folder

    asked = asked_of(drop, to, layers, text, mixture, samples, repeat, start)
    folder, target = (Path(resolve(path, _here())) for path in (model, output))
    with _progress() as progress:
        done = upscale_folder(asked, folder, target, _here(), model, progress)
    if as_json:
        _print_json(done.model_dump(mode="json"))
    else:
        _print_stack(done, output)


@app.command()
def prune(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder of a checkpoint.")],
    output: Annotated[
        str, typer.Option("--output", "-o", help="Folder of the new checkpoint.", show_default=False)
    ] = "",
    hidden_size: Annotated[int | None, typer.Option(min=1, help="Hidden channels that stay.")] = None,
    intermediate_size: Annotated[int | None, typer.Option(min=1, help="Neurons of each MLP that stay.")] = None,
    heads: Annotated[int | None, typer.Option(min=1, help="Heads of queries that stay.")] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Layers that stay.")] = None,
    text: Annotated[
        str | None, typer.Option(metavar="FILE", help="Parquet or JSONL with `text`, to measure importance on.")
    ] = None,
    mixture: Annotated[
        str | None, typer.Option(metavar="RUN", help="Instead: a token mixture, whose sequences are read.")
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Texts or sequences that are read; 1024.")] = None,
    cut_max: Annotated[
        float | None, typer.Option(help="Share of the weights beside embeddings that may go; 0.5.")
    ] = None,
    tie_embeddings: Annotated[
        bool, typer.Option("--tie-embeddings", help="Make output and input embeddings one: their mean.")
    ] = False,
    schedule: Annotated[
        bool,
        typer.Option(
            "--schedule",
            help="Instead: print the stages of a manifest that reach these sizes by several cuts, each of which is "
            "healed by a distillation on --mixture.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a model narrower, and less deep: what is least active on texts goes."""
    from manifests.store import resolve
    from training.pruning.options import asked_of, prune_folder

    sizes = {
        "hidden_size": hidden_size,
        "intermediate_size": intermediate_size,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
    }
    if schedule:
        _print_schedule(model, sizes, mixture, cut_max, tie_embeddings, as_json)
        return
    if not output:
        raise RequestError("--output: missing; name the folder of the new checkpoint")
    asked = asked_of(sizes, text, mixture, samples, cut_max, tie_embeddings)
    folder, target = (Path(resolve(path, _here())) for path in (model, output))
    with _progress() as progress:
        done = prune_folder(asked, folder, target, _here(), progress)
    if as_json:
        _print_json(done.report.model_dump(mode="json"))
    else:
        _print_pruned(done, output)


def _print_schedule(
    model: str, sizes: Mapping[str, int | None], mixture: str | None, cut_max: float | None, ties: bool, as_json: bool
) -> None:
    import yaml

    from manifests.schema_surgery import Sizes
    from manifests.store import resolve
    from training.flops import read_config
    from training.pruning.schedule import CUT_MAX, stages_yaml, steps_to

    if mixture is None:
        raise RequestError("--mixture: missing; the stages measure importance and distil on it")
    share = CUT_MAX if cut_max is None else cut_max
    steps = steps_to(read_config(Path(resolve(model, _here()))), Sizes(**sizes), share)
    stages = stages_yaml(steps, mixture, cut_max=share, tie_embeddings=ties)
    if as_json:
        _print_json(yaml.safe_load(stages))
    else:
        sys.stdout.write(stages)


ExperimentSets = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Another value, as seeds=[0,1].")
]
ExperimentPlan = Annotated[
    bool, typer.Option("--plan", help="Only check all, and tell which runs there are and what they share.")
]


@app.command()
def ablate(
    manifest: Manifest,
    output: Output = None,
    jobs: Jobs = 1,
    processes: Processes = None,
    overrides: ExperimentSets = None,
    plan: ExperimentPlan = False,
    as_json: AsJson = False,
) -> None:
    """Run arms that differ in what is asked about, each with several seeds, and compare them: means with intervals,
    and differences from the baseline. What arms have in common is run once; a killed run goes on where it was."""
    from manifests.schema_experiments import AblationManifest
    from training.experiments.ablate import ablate as run_ablation

    _experiment(AblationManifest, run_ablation, manifest, output, jobs, processes, overrides or [], plan, as_json)


@app.command()
def ladder(
    manifest: Manifest = "ladder",
    output: Output = None,
    jobs: Jobs = 1,
    processes: Processes = None,
    overrides: ExperimentSets = None,
    plan: ExperimentPlan = False,
    as_json: AsJson = False,
) -> None:
    """Do all that the reports do, once, small, and tell what each rung brought. A killed run goes on where it was."""
    from manifests.schema_experiments import LadderManifest
    from training.experiments.ladder import climb

    _experiment(LadderManifest, climb, manifest, output, jobs, processes, overrides or [], plan, as_json)


def _experiment(
    kind: Any,
    run: Any,
    manifest: str,
    output: str | None,
    n_jobs: int,
    n_processes: int | None,
    overrides: list[str],
    plan: bool,
    as_json: bool,
) -> None:
    """Run an experiment of a kind, and print what it came to."""
    from manifests.load import load_kind
    from manifests.store import resolve
    from training.experiments.ablate import check_complete

    path, base = _found(manifest)
    chosen = load_kind(kind, path, overrides)
    here = output or (chosen.output.path if manifest in ON_THE_SAMPLE else None)
    named = resolve(here, _here()) if here else None
    if plan:
        _plan_experiment(chosen, base, named, path, as_json)
        return
    with _progress() as progress:
        summary, folder = run(chosen, base, named, progress, n_jobs, n_processes, path)
    if as_json:
        _print_json(summary.model_dump(mode="json"))
    else:
        _print_experiment(summary, folder)
    check_complete(summary, folder)


def _plan_experiment(chosen: Any, base: str, output: str | None, path: str, as_json: bool) -> None:
    from training.experiments.checks import planned
    from training.experiments.outlook import plan_of

    found = plan_of(planned(chosen, base, output, path), chosen.name, chosen.seeds)
    if as_json:
        _print_json(found.model_dump(mode="json"))
    else:
        _print_experiment_outlook(found)


def _print_experiment_outlook(found: "ExperimentOutlook") -> None:
    """The runs, what they train, and what they share."""
    rows = [
        (
            run.step,
            ", ".join(run.arms),
            ", ".join(map(str, run.seeds)) or "all",
            ", ".join(run.stages),
            ", ".join(run.shared),
            ", ".join(run.there),
            f"{run.flops:.1e}".replace("e+", "e") if run.flops else "",
            "done" if run.is_done else "",
        )
        for run in found.runs
    ]
    out.print(_table(["step", "arms", "seeds", "stages", "trained by another run", "there", "FLOPs", ""], rows))
    n_done = sum(run.is_done for run in found.runs)
    stages = f"; {found.n_stages_trained:,} stages to train for {found.n_stages:,} that are named" * bool(
        found.n_stages
    )
    to_do = [run for run in found.runs if run.stages and not run.is_done]
    known = f"; {'at least ' * any(run.flops is None for run in to_do)}{found.flops:.2e} FLOPs to do (6ND)"
    out.print(
        f"{len(found.runs):,} runs, {n_done:,} of them done{stages}{known * bool(found.flops)}: {found.folder}",
        soft_wrap=True,
        highlight=False,
    )


def _print_experiment(summary: "ExperimentSummary", folder: str) -> None:
    """Arms or rungs below each other; of each measure its mean, and what it differs by."""
    from training.experiments.words import table_of

    header, rows = table_of(summary)
    out.print(_table(header, rows))
    for note in summary.notes:
        out.print(note, soft_wrap=True, **_PLAIN)
    for point in summary.points:
        for said in point.gates_failed:
            who = f"{point.arm or point.of}, seed {point.seed}"
            out.print(f"{who}: a gate failed, and the run went on: {said}", soft_wrap=True, **_PLAIN)
    out.print(f"Figures: {folder}/results.csv\nReport:  {folder}/report.html", soft_wrap=True, highlight=False)


@app.command("eval")
def evaluate(
    manifest: Manifest,
    output: Output = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Another value, as benchmarks.kmmlu.shots=0."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate models: benchmarks through lm-eval, held-out text, hidden sentences, answers that a judge scores. What
    a model came to is kept, so another model or benchmark costs only what is new."""
    from manifests.load import load_kind
    from manifests.schema_evaluation import EvaluationManifest
    from manifests.store import resolve
    from training.evaluating.evaluation import evaluate as run_evaluation

    path, base = _found(manifest)
    chosen = load_kind(EvaluationManifest, path, overrides or [])
    with _progress() as progress:
        record, folder = run_evaluation(chosen, base, resolve(output, _here()) if output else None, progress)
    if as_json:
        _print_json(record.model_dump(mode="json"))
    else:
        _print_evaluation(folder)


def _print_evaluation(folder: str) -> None:
    """Models below each other, their scores with intervals."""
    from training.evaluating.record import EvaluationSummary
    from training.pages.score_table import score_table

    summary = EvaluationSummary.model_validate_json(Path(folder, "summary.json").read_bytes())
    found = score_table(summary.models, summary.compare_with)
    names = [f"{column.name}\n{column.shots}" for column in found.columns]
    rows = [
        (row.name, *(f"{cell.text}\n{cell.interval}" if cell.interval else cell.text for cell in row.cells))
        for row in found.rows
    ]
    out.print(_table(["model", *names], rows))
    for model in summary.models:
        for result in model.results:
            if result.why:
                out.print(f"{model.name}, {result.name}: {result.why}", soft_wrap=True, highlight=False)
    out.print(f"Report: {folder}/report.html", soft_wrap=True, highlight=False)


def _print_merge(done: "MergeReport", output: str) -> None:
    rows = [(path, part.n_tensors, part.n_parameters, f"{done.share(path):.1%}") for path, part in done.paths.items()]
    out.print(_table(["path", "tensors", "parameters", "share"], rows))
    for sentence in (*done.words, *done.notes):
        out.print(sentence, soft_wrap=True, **_PLAIN)
    out.print(f"\n{output}: {_size(done.n_bytes)}; every tensor is in {output}/merge.json", soft_wrap=True, **_PLAIN)


def _print_stack(done: "StackReport", output: str) -> None:
    from training.stacking.report import tables_of

    for table in tables_of(done, with_notes=False):
        out.print(_table(table.columns, [tuple(row) for row in table.rows]))
        out.print(table.note, soft_wrap=True, **_PLAIN)
    for note in done.notes:
        out.print(note, soft_wrap=True, **_PLAIN)
    out.print(f"\n{output}: {_size(done.n_bytes)}; its layers are in {output}/upscale.json", soft_wrap=True, **_PLAIN)


def _print_pruned(done: "Pruned", output: str) -> None:
    from training.pruning.report import tables_of

    for table in tables_of(done):
        out.print(_table(table.columns, [tuple(row) for row in table.rows]))
        out.print(table.note, soft_wrap=True, **_PLAIN)
    for note in done.report.notes:
        out.print(note, soft_wrap=True, **_PLAIN)
    out.print(f"\n{output}: {_size(done.report.n_bytes)}; heal it with a stage `distill`", soft_wrap=True, **_PLAIN)


@app.command()
def score(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Folder of a classifier, or a fastText file; NAME=PATH; several by commas."
        ),
    ],
    source: Annotated[str, typer.Argument(metavar="IN", help="Parquet or JSONL files: a path, a folder or a glob.")],
    output: Annotated[str, typer.Argument(metavar="OUT", help="Folder for the same files with scores.")],
    text: Annotated[str, typer.Option(help="Column that is scored.")] = "text",
    label: Annotated[str | None, typer.Option(help="Of a plain fastText file: the label that counts.")] = None,
    top: Annotated[
        str | None, typer.Option(metavar="10%", help="Print the score with which the best share of OUT begins.")
    ] = None,
    workers: NWorkers = 1,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Score documents: adds NAME_score and NAME_int_score to every row. Files that are done are not done again."""
    from classifiers.rows import input_files
    from curation.score import models_of, score_files, score_shares
    from manifests.engine import open_engine
    from manifests.store import resolve

    models, folder = models_of(model, label, _here()), resolve(output, _here())
    inputs, frac = input_files(resolve(source, _here())), _fraction("--top", top) if top else None
    with _progress() as progress, open_engine(_workers(workers, scheduler)) as engine:
        done = score_files(inputs, folder, models, text, engine, progress)
    names = [path.rsplit("/", 1)[-1] for path in inputs]
    shares = score_shares(names, folder, models, frac) if frac else {}
    if as_json:
        _print_json({**done.__dict__, "top": shares} if top else done)
        return
    rate = (
        f", {done.text_bytes / 1e6 / done.seconds:.1f} MB of text/s" if not done.was_there else ", all there already"
    )
    out.print(
        f"{done.n_docs:,} documents in {len(inputs):,} files, {done.n_scored:,} with a score{rate}", highlight=False
    )
    for name, share in shares.items():
        at = "no score" if share.threshold is None else f"{name}_score >= {share.threshold!r}"
        out.print(f"top {top} of {share.n_values:,}: {at} ({share.n_at_least:,} documents)", highlight=False)


@app.command()
def tune(
    run: Run,
    rule: Annotated[
        str | None, typer.Option(metavar="RULE", help="Threshold, as --set spells it; without it, what there is.")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=10, max=2000, help="Documents to judge.")] = 50,
    precision: Annotated[float, typer.Option(min=0, max=1, help="What is wanted of the kept documents.")] = 0.9,
    seed: Annotated[int, typer.Option(min=0, help="Another one draws other documents.")] = 0,
    chars: Annotated[int, typer.Option(min=100, help="Characters of each document that are shown.")] = 1000,
    answers: Annotated[
        str | None, typer.Option(metavar="FILE", help="JSONL of id and answer (keep, drop), instead of asking.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge documents around a threshold without seeing its verdict, and get thresholds with their precision."""
    from curation.tune import find_target, prepare, targets
    from curation.tune_answers import ask, log_of, read_answers
    from manifests.store import Folder, resolve

    folder = Folder(resolve(run, _here()))
    there = targets(folder)
    if rule is None and len(there) != 1:
        _print_targets(there, run, as_json)
        return
    question = prepare(folder, find_target(folder, rule or there[0].name), n, seed)
    log = log_of(folder, question.target.name)
    given = read_answers(Path(answers)) if answers else log.answers
    if answers and given and not any(document.key in given for document in question.documents):
        raise RequestError(
            f"{answers}: none of its {len(given):,} answers is about a document that is asked for; give the --rule, "
            "--n and --seed that they were asked with"
        )
    if not answers and not as_json:
        n_asked = len(question.documents)
        ask(question.documents, log, partial(_show_document, n=n_asked, n_chars=chars), _answer)
    found = question.survey(given, precision)
    if as_json:
        asked = [{**vars(document), "answer": given.get(document.key)} for document in question.documents]
        _print_json({"rule": question.target.name, "documents": asked, "survey": found, "proposed": found.proposed})
        return
    _print_survey(question.target, found, run, precision)


tokenizers = typer.Typer(no_args_is_help=True, help="Tokenizers for Korean and English.")
app.add_typer(tokenizers, name="tokenizer")

Texts = Annotated[
    list[str],
    typer.Argument(metavar="IN...", help="Parquet or JSONL files: paths, folders or globs.", show_default=False),
]
TokenizerOut = Annotated[str, typer.Option("--output", "-o", help="Folder of the new tokenizer.")]
ColumnOfText = Annotated[str, typer.Option("--text", help="Column of the texts.")]
BytesMax = Annotated[str, typer.Option("--bytes", metavar="500M", help="Text to learn from, at most.")]


@tokenizers.command("train")
def tokenizer_train(
    sources: Texts,
    output: TokenizerOut,
    vocab_size: Annotated[int, typer.Option(help="Tokens, special ones included.")] = 32_000,
    korean: Annotated[
        str | None, typer.Option(metavar="50%", help="Share of Korean in what is learned from; else as it is there.")
    ] = None,
    bytes_max: BytesMax = "1G",
    digits: Annotated[
        Literal["single", "triples"], typer.Option(help="How many digits a token may hold.")
    ] = "triples",
    special: Annotated[
        list[str] | None, typer.Option(help="Special token, the one that ends a document first. Repeatable.")
    ] = None,
    text: ColumnOfText = "text",
    as_json: AsJson = False,
) -> None:
    """Learn a byte-level BPE tokenizer from texts; the same whatever the order of the files."""
    from curation.tokens.train import SPECIAL_TOKENS, Recipe, train_tokenizer
    from manifests.store import Folder, resolve

    frac = None if korean is None else _fraction("--korean", korean)
    recipe = Recipe(vocab_size, frac, _n_bytes("--bytes", bytes_max), digits, special or SPECIAL_TOKENS, text)
    with _progress() as progress:
        done = train_tokenizer(_text_files(sources), Folder(resolve(output, _here())), recipe, progress)
    if as_json:
        _print_json(done)
        return
    learned = ", ".join(f"{_size(n)} {language}" for language, n in done.text_bytes.items() if n)
    out.print(f"{done.vocab_size:,} tokens in {_duration(done.seconds)}, from {learned}: {output}", **_PLAIN)
    rows = [
        (of.language, of.n_texts, f"{of.bytes_per_token:.2f}", f"{of.chars_per_token:.2f}") for of in done.fertility
    ]
    out.print(_table(["language", "texts held out", "bytes per token", "characters per token"], rows))


@tokenizers.command("extend")
def tokenizer_extend(
    base: Annotated[str, typer.Argument(metavar="TOKENIZER", help="A tokenizer.json, or a folder that holds one.")],
    sources: Texts,
    output: TokenizerOut,
    add: Annotated[int, typer.Option(min=1, help="New tokens, at most.")] = 4_000,
    letters: Annotated[
        Literal["hangul", "any"], typer.Option(help="`hangul` leaves texts without Hangul exactly as they were.")
    ] = "hangul",
    eod: Annotated[
        str | None, typer.Option(help="Token that ends a document, where the tokenizer does not tell.")
    ] = None,
    bytes_max: BytesMax = "100M",
    text: ColumnOfText = "text",
    as_json: AsJson = False,
) -> None:
    """Add Korean tokens to a byte-level tokenizer; all old ids stay as they are."""
    from curation.tokens.extend import extend_tokenizer
    from manifests.schema_mixture import Tokenizer
    from manifests.store import Folder, resolve

    settings, folder = Tokenizer(path=resolve(base, _here()), eod=eod), Folder(resolve(output, _here()))
    n_bytes = _n_bytes("--bytes", bytes_max)
    with _progress() as progress:
        done = extend_tokenizer(
            settings, _text_files(sources), folder, add, progress, text=text, bytes_max=n_bytes, letters=letters
        )
    if as_json:
        _print_json(done)
        return
    out.print(f"{done.n_new:,} new tokens after {done.base_vocab_size:,} old ones: {output}", **_PLAIN)
    rows = [
        (
            of.before.language,
            of.before.n_texts,
            f"{of.before.bytes_per_token:.2f}",
            f"{of.after.bytes_per_token:.2f}",
            f"{of.after.n_tokens / max(of.before.n_tokens, 1) - 1:+.1%}",
            of.n_unchanged,
        )
        for of in done.comparison
    ]
    out.print(_table(["language", "texts held out", "bytes per token", "now", "tokens", "same ids"], rows))


@tokenizers.command("resize")
def tokenizer_resize(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder of a checkpoint in safetensors.")],
    extended: Annotated[str, typer.Argument(metavar="TOKENIZER", help="Folder that `onggi tokenizer extend` wrote.")],
    output: Annotated[str, typer.Option("--output", "-o", help="Folder of the new checkpoint.")],
    multiple: Annotated[int, typer.Option(min=1, help="The number of rows becomes a multiple of this.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Give a model embeddings for new tokens: each the mean of those of the old tokens that it is made of."""
    from manifests.store import resolve
    from training.embeddings import resize_embeddings

    old, tokenizer, new = (Path(resolve(path, _here())) for path in (model, extended, output))
    done = resize_embeddings(old, tokenizer, new, multiple)
    if as_json:
        _print_json(done)
        return
    said = (
        f"{done.n_new_tokens:,} new tokens; {', '.join(done.tensors)}: {done.old_rows:,} rows, now {done.new_rows:,}"
    )
    out.print(f"{said}: {output}", soft_wrap=True, **_PLAIN)


def _text_files(sources: list[str]) -> list[str]:
    from classifiers.rows import input_files
    from manifests.store import resolve

    return [path for source in sources for path in input_files(resolve(source, _here()))]


def _n_bytes(option: str, text: str) -> int:
    """A number of bytes as people write it: 500M, 2G."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)B?", text.strip().upper())
    n_bytes = int(Decimal(found[1]) * 1000 ** " KMGT".index(found[2] or " ")) if found else 0
    if n_bytes < 1:
        raise RequestError(f"{option}: expected a number of bytes, such as 500M or 2G; found {text!r}")
    return n_bytes


@app.command()
def export(
    mixture: Annotated[str, typer.Argument(help="Folder of a complete mixture.", metavar="MIXTURE")],
    format_: Annotated[
        str,
        typer.Argument(
            help="megatron, mds, datatrove: tokens. olmo-core, megatron-blend, hf-interleave: what they are of.",
            metavar="FORMAT",
        ),
    ],
    output: Annotated[str, typer.Argument(help="Folder that is made.", metavar="OUTPUT")],
    stage: Annotated[str | None, typer.Option(metavar="NAME", help="Only this stage.")] = None,
    split: Annotated[str, typer.Option(help="train, or validation for what is held out.")] = "train",
    documents: Annotated[
        bool,
        typer.Option("--documents", help="megatron, datatrove: documents without padding, not packed sequences."),
    ] = False,
    paths: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Where the trainer finds a source, as data/{source}.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a mixture in the format of another trainer."""
    from curation.mixture.export import export as run_export
    from curation.mixture.export import requested
    from manifests.store import resolve

    folder = resolve(output, _here())
    wanted = requested(resolve(mixture, _here()), format_, folder, split, stage, documents, paths)
    with _progress() as progress:
        record = run_export(wanted, lambda done, total: progress("export", done, total))
    if as_json:
        _print_json(record.model_dump())
        return
    rows = [(name, _size(size_bytes)) for name, size_bytes in record.files.items()]
    out.print(_table(["file", "size"], rows[:20]))
    if len(rows) > 20:
        out.print(f"... and {len(rows) - 20:,} more")
    if record.n_sequences:
        out.print(f"\n{record.n_sequences:,} sequences, {record.n_tokens:,} tokens", highlight=False)
    out.print(f"Written to {folder}", soft_wrap=True, **_PLAIN)


@app.command()
def remove(
    runs: Annotated[
        list[str], typer.Argument(help="Folders of corpora, mixtures and synthetic data.", metavar="RUN...")
    ],
    ids: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Ids of documents, one per line, or a column.")
    ] = None,
    urls: Annotated[list[str] | None, typer.Option(metavar="FILE", help="Their URLs.")] = None,
    domains: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Domains; what lies below them goes too.")
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="Column of CSV, Parquet or JSONL files; by default id, url or domain.")
    ] = None,
    copies: Annotated[bool, typer.Option("--copies", help="Also remove documents of the very same text.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    receipt: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where to write the receipt, instead of removal-TIME.json here."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take documents down from corpora, mixtures and synthetic data, for good, and write a receipt."""
    from curation.removal.entries import Kind, read_request
    from curation.removal.remove import receipt_name
    from curation.removal.remove import remove as take_down
    from manifests.store import Folder, resolve
    from synth.take_down import forget

    asked: dict[Kind, list[str] | None] = {"ids": ids, "urls": urls, "domains": domains}
    files = {kind: [resolve(path, _here()) for path in paths] for kind, paths in asked.items() if paths}
    request = read_request(files, column, copies)
    with _progress() as progress:
        done = take_down([resolve(run, _here()) for run in runs], request, dry_run, progress, forget)
    if as_json:
        _print_json(done)
    else:
        _print_removal(done)
    if receipt or not dry_run:
        folder, _, name = resolve(receipt or receipt_name(done), _here()).rpartition("/")
        Folder(folder or "/").write_json(name, done)
        err.print(f"Receipt: {folder}/{name}", soft_wrap=True, **_PLAIN)


def _print_removal(done: dict[str, Any]) -> None:
    """What a receipt says, in short."""
    verb = "would be removed" if done["dry_run"] else "removed"
    n_runs = len(done["runs"])
    out.print(f"{done['n_documents']:,} documents {verb} from {n_runs} folder(s)", highlight=False)
    rows = [(part["path"], part["kind"], part["n_documents"], len(part.get("files", ()))) for part in done["runs"]]
    out.print(_table(["folder", "kind", "documents", "files"], rows))
    for part in done["runs"]:
        if part.get("n_copies_left"):
            n_left = part["n_copies_left"]
            said = f"{part['path']}: {n_left:,} other documents have the same text, or nearly; the receipt lists them"
            out.print(said, soft_wrap=True, **_PLAIN)
        if part.get("inputs_that_hold_them"):
            n_files = len(part["inputs_that_hold_them"])
            out.print(f"{part['path']}: {n_files:,} input files still hold them", soft_wrap=True, **_PLAIN)
    for entry in done["unmatched"]:
        out.print(f"found nowhere: {entry['entry']}", soft_wrap=True, **_PLAIN)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(version())
        raise typer.Exit


@app.callback()
def _root(
    show: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    check_packages()


def _here() -> str:
    return str(Path.cwd())


def _split_overrides(overrides: list[str]) -> tuple[list[str], list[str]]:
    """(fields of the manifest, thresholds of rules) among --set assignments; a field's path starts with its name."""
    from manifests.schema import CorpusManifest

    of_manifest = [item for item in overrides if re.split(r"[.=\[]", item)[0] in CorpusManifest.model_fields]
    return of_manifest, [item for item in overrides if item not in of_manifest]


def _load(manifest: str, overrides: list[str]) -> "tuple[CorpusManifest, str]":
    """A manifest of a corpus, by path or recipe name, and the folder in which its relative paths start."""
    from manifests.load import load_manifest

    path, base = _found(manifest)
    return load_manifest(path, overrides), base


def _found(manifest: str) -> tuple[str, str]:
    """The path of a manifest, and the folder in which its relative paths start.

    That is the manifest's own folder; for a recipe the current one, for the demo and the ladder that of the sample.
    """
    from manifests.recipes import find_manifest
    from manifests.store import resolve

    found = find_manifest(manifest)
    path = resolve(found, _here())
    own = path.rsplit("/", 1)[0]
    return path, own if found == manifest else str(SAMPLE) if manifest in ON_THE_SAMPLE else _here()


def _workers(n_workers: int, scheduler: str | None = None, memory_limit: str | None = None) -> "Workers":
    from manifests.engine import Workers

    if memory_limit is None:
        return Workers(n_workers, scheduler)
    from dask.utils import parse_bytes

    try:
        return Workers(n_workers, scheduler, parse_bytes(memory_limit))
    except ValueError as error:
        raise RequestError(f"--memory-limit {memory_limit}: write a size such as 4GB or 2000MiB") from error


def _job(manifest: str, output: str | None, workers: "Workers", overrides: list[str]) -> "Job":
    from curation.pipeline import prepare
    from manifests.store import resolve

    of_manifest, thresholds = _split_overrides(overrides)
    chosen, base = _load(manifest, of_manifest)
    return prepare(chosen, base, resolve(output, _here()) if output else None, workers, thresholds)


def _curate(
    manifest: str,
    output: str | None,
    workers: "Workers",
    sample: str | None,
    overrides: list[str],
    skip_disk_check: bool = False,
) -> "tuple[RunRecord, str]":
    from curation.pipeline import curate as run_pipeline
    from curation.pipeline import sampled
    from curation.plan_disk import check_disk

    job = _job(manifest, output, workers, overrides)
    if sample:
        job = sampled(job, _fraction("--sample", sample))
    if not skip_disk_check:
        check_disk(job)
    with _progress() as progress:
        return run_pipeline(job, progress), job.output


def _fraction(option: str, text: str) -> float:
    """A share such as `1%` or `0.01`.

    Raises:
        RequestError: it is not a number, or not between 0 and 1; names the option.
    """
    try:
        value = float(Decimal(text.removesuffix("%")) / (100 if text.endswith("%") else 1))
    except ArithmeticError:
        value = 0.0
    if not 0 < value <= 1:
        raise RequestError(f"{option} {text}: write a share such as 1% or 0.01, above 0 and at most 100%")
    return value


@contextmanager
def _status(text: str) -> Iterator[None]:
    with err.status(text):
        yield


@contextmanager
def _progress() -> Iterator[Any]:
    """Bars on stderr: share done, a note, time passed and time left."""
    columns = [TextColumn("{task.description:>8}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%")]
    columns += [TextColumn("{task.fields[note]}"), TimeElapsedColumn(), TextColumn("·"), TimeRemainingColumn()]
    columns += [TextColumn("left")]
    with Progress(*columns, console=err) as bars:
        tasks: dict[str, TaskID] = {}

        def show(step: str, done: float, total: float, note: str = "") -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=total, note=note)
            bars.update(tasks[step], completed=done, total=total, note=note)

        yield show


def _print_json(value: Any) -> None:
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


_NUMBERS: tuple[str, ...] = (
    "records",
    "documents",
    "share",
    "size",
    "time",
    "memory",
    "written",
    "then on disk",
    "tokens",
    "taken",
)
_NUMBERS += ("entries", "lines", "passed over", "not understood")
_NUMBERS += ("rows", "steps", "FLOPs", "disk")
_NUMBERS += ("tokens there", "asked", "missing", "bytes per token", "characters per token", "now", "at")
"""Columns of tables that are aligned to the right."""
_WHOLE = ("id", "document")
"""Columns that are not broken, so that they can be copied."""


def _table(header: list[str], rows: list[tuple[Any, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for position, name in enumerate(header):
        right = name in _NUMBERS or (bool(rows) and all(isinstance(row[position], int) for row in rows))
        table.add_column(name, justify="right" if right else "left", overflow="fold", no_wrap=name in _WHOLE)
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else escape(str(cell)) for cell in row))
    return table


def _print_run(record: "RunRecord") -> None:
    """The funnel, and what it cost."""
    scale = 1 / record.sample_frac
    counts = {name: round(record.counts[name] * scale) for name in ("read", "kept", "dropped", "failed")}
    if record.sample_frac < 1:
        out.print(f"Extrapolated from a sample of {record.sample_frac:.2%} ({record.counts['read']:,} records):")
    rows = [(name, count, f"{count / max(counts['read'], 1):.1%}") for name, count in counts.items()]
    out.print(_table(["", "records", "share"], rows))
    for name, threshold in record.thresholds.items():
        at = "no document with a score came so far" if threshold is None else f"from {threshold:.6g} on"
        out.print(f"{name}: {at}", highlight=False)
    scored = [f"{count:,} by {name}" for name in record.scores if (count := record.counts.get(f"scored.{name}", 0))]
    if record.scores:
        out.print(f"Scored after the rules: {', '.join(scored) or 'none, all scores were there'}", highlight=False)
    _print_lists(record.blocklists)
    seconds = record.timings.get("measure", 0.0) + record.timings.get("decide", 0.0)
    rate = record.counts["text_bytes"] / 1e6 / max(seconds, 1e-9)
    memory = record.peak_memory_bytes / 2**20
    out.print(f"{seconds:.1f} s, {rate:.1f} MB of text/s, peak memory {memory:,.0f} MiB", style="dim")


def _print_lists(lists: "Mapping[str, ListRecord]") -> None:
    """How the lines of lists of addresses were understood."""
    rows = [(name, of.n_entries, of.n_lines, of.n_passed_over, of.n_not_understood) for name, of in lists.items()]
    if rows:
        out.print(_table(["blocklist", "entries", "lines", "passed over", "not understood"], rows))


def _print_plan(job: "Job", found: Any, free: int | None) -> None:
    from yaml import safe_dump

    from curation.addresses.columns import recorded_lists

    shown = job.manifest.model_dump(mode="json", exclude_defaults=True)
    out.print(safe_dump(shown, allow_unicode=True, sort_keys=False), markup=False, highlight=False)
    rows = [
        (
            item.source,
            item.format,
            item.n_files,
            item.n_splits,
            _size(item.size_bytes),
            item.n_records,
            _size(item.text_bytes),
        )
        for item in found.inputs
    ]
    out.print(_table(["source", "format", "files", "splits", "size", "records", "text"], rows))
    for complaint in filter(None, (item.complaint for item in found.inputs)):
        out.print(complaint, style="yellow", soft_wrap=True, **_PLAIN)
    _print_lists(recorded_lists(job.manifest.measure))
    steps = [
        (step.step, _duration(step.seconds), *map(_size, (step.ram_bytes, step.written_bytes, step.disk_bytes)))
        for step in found.steps
    ]
    out.print()
    out.print(_table(["step", "time", "memory", "written", "then on disk"], steps))
    for what, share in found.shares.items():
        out.print(
            f"\n{what}: {share.low:.1%} of the sample is found in other documents too; expected of all: "
            f"{share.expected:.1%}, at most {share.high:.1%}.",
            soft_wrap=True,
        )
    room = "free space there is not known" if free is None else f"{_size(free)} free"
    out.print(
        f"\nEstimated from {_size(found.sampled_bytes)} of content, measured at {found.measure_mb_s:.1f} MB/s: "
        f"about {found.n_records:,} records, {_duration(found.seconds)} with {job.n_workers} worker(s), "
        f"{_size(found.ram_bytes)} of memory, {_size(found.disk_bytes)} on disk at the peak (at most "
        f"{_size(found.disk_high_bytes)}) and {_size(found.kept_bytes)} at the end ({room}).",
        soft_wrap=True,
    )
    if free is not None and found.disk_bytes > free:
        raise RequestError(f"{job.output}: needs about {_size(found.disk_bytes)}, {_size(free)} are free")


def _size(n_bytes: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def _amount(cost: float) -> str:
    """Of money: two decimals, or as many as say something."""
    return f"{cost:,.2f}" if cost >= 1 else f"{cost:.2g}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _print_mixture(record: "MixtureRecord", folder: str) -> None:
    """What came of each stage, by category."""
    for stage in record.stages:
        over = f", {stage.overshoot:,} past what was asked" if stage.overshoot else ""
        out.print(f"[bold]{stage.name}[/]: {stage.n_tokens:,} tokens in {stage.n_sequences:,} sequences{over}")
        asked, taken = Counter[str](), Counter[str]()
        for source in record.sources:
            asked[source.category] += stage.shares[source.name]  # type: ignore[assignment]
            taken[source.category] += stage.taken[source.name]
        rows = [(name, f"{asked[name]:.2%}", f"{n / stage.n_tokens:.2%}", n) for name, n in taken.items() if n]
        out.print(_table(["category", "asked", "taken", "tokens"], rows))
        out.print()
    padding = record.counts["padding"] / (record.counts["sequences"] * record.sequence_length)
    engine = f"{record.tokenizer.engine} {record.tokenizer.engine_version}"
    out.print(
        f"{record.counts['tokens']:,} tokens, {padding:.3%} padding, ids by {engine}; held out: "
        f"{sum(of['tokens'] for of in record.validation.values()):,} tokens\nSequences: {folder}/tokens\n"
        f"Report:    {folder}/report.html",
        soft_wrap=True,
        highlight=False,
    )


def _print_synthesis(record: "SynthesisRecord", folder: str) -> None:
    """What became of the samples, and what it took."""
    from manifests.store import Folder
    from synth.pipeline import read_summary

    counts = record.counts
    out.print(f"{counts['items']:,} items, {counts['samples']:,} samples, [bold]{counts['kept']:,} kept[/]")
    rows = [
        (stage.name, reason.reason.replace("_", " "), reason.n_samples, _found_in(reason.examples[0]))
        for stage in read_summary(Folder(folder)).stages
        for reason in stage.reasons
    ]
    if rows:
        out.print(_table(["rejected by", "because", "samples", "one of them"], rows))
    for role, usage in record.usage.items():
        cost = f", {_amount(record.cost[role])} spent" if record.cost.get(role) else ""
        out.print(
            f"{role}: {usage['n_requests']:,} requests, {usage['n_kept']:,} answered already, {usage['n_paid']:,} "
            f"asked, {usage['n_prompt_tokens']:,} tokens in, {usage['n_output_tokens']:,} out{cost}",
            highlight=False,
            soft_wrap=True,
        )
    tables = ", ".join(f"{folder}/{name}" for name in record.digests if name != "rejected") or "none"
    out.print(f"Samples: {tables}\nReport:  {folder}/report.html", soft_wrap=True, highlight=False)


def _print_training_outlook(found: "TrainingOutlook") -> None:
    """What each stage reads and would take."""
    from training.pages.values import amount

    rows = [
        (
            stage.name,
            ", ".join(stage.starts_from),
            "" if stage.n_rows is None else f"{stage.n_rows:,}",
            "" if stage.n_steps is None else f"{stage.n_steps:,}",
            "" if stage.n_tokens is None else f"{'' if stage.is_exact else '~'}{amount(stage.n_tokens)}",
            f"{stage.flops:.1e}".replace("e+", "e") if stage.flops else "",
            _size(stage.memory_bytes) if stage.memory_bytes else "",
            _size(stage.disk_bytes) if stage.disk_bytes else "",
            "done" if stage.is_done else _duration(stage.seconds) if stage.seconds else "",
        )
        for stage in found.stages
    ]
    out.print(_table(["stage", "from", "rows", "steps", "tokens", "FLOPs", "memory", "disk", "time"], rows))
    free = f" of {_size(found.free_bytes)} that are free" if found.free_bytes is not None else ""
    to_do = f"{found.flops:.2e} FLOPs to do (6ND)" if found.flops else "nothing left to compute"
    out.print(
        f"{found.n_parameters:,} weights; {to_do}; at most {_size(found.disk_bytes)} on "
        f"disk{free}, {_size(found.kept_bytes)} when all is done: {found.folder}",
        soft_wrap=True,
        highlight=False,
    )


def _print_training(folder: str) -> None:
    """What each stage came to."""
    from training.summary_models import TrainingSummary

    summary = TrainingSummary.model_validate_json(Path(folder, "summary.json").read_bytes())
    sets = list(dict.fromkeys(name for stage in summary.stages for name in stage.measures))
    rows = [
        (
            stage.name,
            stage.kind if stage.kind != stage.name else "",
            stage.made.counts.get("steps", 0) or "",
            _duration(stage.seconds) if stage.seconds else "",
            *(_measured(stage.measures.get(name, {})) for name in sets),
            _passed(stage.gates),
        )
        for stage in summary.stages
    ]
    out.print(_table(["stage", "kind", "steps", "time", *sets, "gates"], rows))
    out.print(f"Models: {folder}/stages\nReport: {folder}/report.html", soft_wrap=True, highlight=False)


def _measured(figures: dict[str, float]) -> str:
    """What a set says of a model, in a word."""
    forms = {"bits_per_byte": "{:.3f} bits/byte", "loss": "loss {:.3f}", "accuracy": "{:.1%} right"}
    forms |= {"reward_mean": "reward {:.2f}", "mean_length": "{:.0f} tokens"}
    return ", ".join(form.format(figures[name]) for name, form in forms.items() if name in figures)


def _passed(gates: "list[Verdict]") -> str:
    return f"{sum(gate.passed for gate in gates)} of {len(gates)} passed" if gates else ""


def _found_in(example: "Example") -> str:
    """What a sample was rejected for, in words or in numbers."""
    line = " ".join(example.detail.split())
    if not line and example.value is not None:
        against = "" if example.threshold is None else f" against {example.threshold:.4g}"
        line = f"{example.value:.4g}{against}"
    return line if len(line) <= SHOWN_CHARS else line[: SHOWN_CHARS - 3] + "..."


def _print_synthesis_outlook(found: "SynthesisOutlook") -> None:
    left_out = [f"{n:,} {what}" for n, what in ((found.n_blank, "blank"), (found.n_repeated, "repeated")) if n]
    more = f" ({', '.join(left_out)} left out)" if left_out else ""
    out.print(f"{found.task}: {found.n_items:,} items of {found.n_seeds:,} seeds{more}", highlight=False)
    parts = sorted(found.items, key=lambda part: -part.n_items)
    rows = [(part.language or "not known", part.source or "", part.n_items) for part in parts[:N_PARTS]]
    if rest := parts[N_PARTS:]:
        rows.append(("", f"{len(rest):,} others", sum(part.n_items for part in rest)))
    out.print(_table(["language", "source", "items"], rows))
    for why, n in found.unasked.items():
        out.print(f"{n:,} items are rejected before anything is asked: {why.replace('_', ' ')}", highlight=False)
    out.print()
    for role, asked in found.asked.items():
        if not asked.n_requests:
            out.print(f"{role}, {asked.model}: nothing to begin with", markup=False, highlight=False, soft_wrap=True)
            continue
        cost = f"; at most {_amount(asked.cost_max)} to pay" if asked.cost_max else ""
        tokens = f"about {asked.n_prompt_tokens:,} tokens in, at most {asked.n_output_tokens_max:,} out"
        out.print(
            f"{role}, {asked.model}: {asked.n_requests:,} requests to begin with, {asked.n_kept:,} answered already"
            f"{f'; the others: {tokens}{cost}' if asked.n_requests > asked.n_kept else ''}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    out.print(
        f"Prompts: {', '.join(f'{name} {n:,}' for name, n in found.prompts.items()) or 'none'}\n"
        "What is asked after that depends on the answers.\n"
        f"Gates: {', '.join(found.gates)}\nFolder: {found.folder}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _print_outlook(found: "Outlook", n_workers: int, free: int | None) -> None:
    rows = [
        (
            source.name,
            source.category,
            ("~" if source.is_estimated else "") + f"{source.n_tokens:,}",
            f"{source.taken_tokens:,}",
            f"{source.epochs:.2f} of {source.epochs_max:g}",
            f"{source.missing_tokens:,}" if source.missing_tokens else "",
            ", ".join(f"{why} {n:,}" for why, n in source.left_out.items()),
        )
        for source in found.sources
    ]
    header = ["source", "category", "tokens there", "taken", "epochs", "missing", "documents left out"]
    out.print(_table(header, rows))
    category_of = {source.name: source.category for source in found.sources}
    for stage in found.stages:
        sums = Counter[str]()
        for name, n_tokens in stage.taken.items():
            sums[category_of[name]] += n_tokens
        parts = ", ".join(f"{name} {n / stage.n_tokens:.1%}" for name, n in sums.items() if n)
        turn = f" (over its first {stage.transition:,} from the stage before)" if stage.transition else ""
        out.print(f"\n[bold]{stage.name}[/]: {stage.n_tokens:,} tokens{turn}: {parts}", soft_wrap=True)
    languages = [
        (name, of.n_documents, f"{of.n_tokens:,}", f"{of.n_bytes / max(of.n_tokens, 1):.2f}")
        for name, of in found.languages.items()
    ]
    out.print()
    out.print(_table(["language", "documents", "tokens", "bytes per token"], languages))
    _print_licenses_and_overlap(found)
    room = "free space there is not known" if free is None else f"{_size(free)} free"
    out.print(
        f"\n{found.n_tokens:,} tokens in about {found.n_sequences:,} sequences; {_size(found.to_tokenise_bytes)} "
        f"of text still to tokenise: about {_duration(found.seconds / n_workers)} with {n_workers} worker(s), "
        f"{_size(found.disk_bytes)} on disk ({room}).",
        soft_wrap=True,
        highlight=False,
    )


def _print_licenses_and_overlap(found: "Outlook") -> None:
    licenses = [(name, of.n_documents, f"{of.n_tokens:,}", "") for name, of in found.licenses.items()]
    licenses += [(name, n, "", "left out by the policy") for name, n in found.licenses_left_out.items()]
    out.print()
    out.print(_table(["license", "documents", "tokens", ""], licenses))
    for pair in found.overlap.shared:
        out.print(
            f"{pair.n_documents_a:,} documents of {pair.a} are in {pair.b} too, {pair.n_documents_b:,} the other way",
            soft_wrap=True,
        )
    for near in found.near:
        out.print(
            f"{near.a} and {near.b}: {near.found.refused}"
            if near.found.refused
            else f"{near.found.n_documents_a:,} documents of {near.a} are nearly in {near.b} (similarity "
            f"{near.found.jaccard:g}), {near.found.n_documents_b:,} the other way",
            soft_wrap=True,
            **_PLAIN,
        )


def _is_mixture(folder: "Folder") -> bool:
    return folder.exists("run.json") and folder.read_json("run.json").get("kind") == "mixture"


def _explain_mixture(folder: "Folder", name: str, as_json: bool) -> None:
    from curation.mixture.explain import explain_mixture

    story = explain_mixture(folder, name)
    if as_json:
        _print_json(story)
        return
    rows = [
        (
            of.stage,
            of.sequence,
            of.start,
            of.n_tokens,
            f"{of.id} copy {of.copy}" if of.copy else of.id,
            of.offset,
            of.source,
        )
        for of in story.spans
    ]
    header = ["stage", "sequence", "at", "tokens", "document", "offset", "source"]
    out.print(_table(header, rows))
    for id_, origin in story.origins.items():
        out.print(f"\n[bold]{id_}[/] {escape(origin.source)} ({escape(origin.category)})", soft_wrap=True)
        where = f"{origin.url or 'no URL'}; {origin.n_tokens:,} tokens; {origin.file}, row {origin.row}"
        out.print(where, soft_wrap=True, **_PLAIN)
        out.print(origin.snippet, style="dim", **_PLAIN)


def _print_story(story: Any) -> None:
    """One document's story, as text."""
    row, measured = story.ledger, story.measured
    out.print(f"[bold]{row['id']}[/] copy {row['copy']}", soft_wrap=True)
    facts = [(name, measured.get(name)) for name in ("source", "key", "url", "date", "license", "file", "offset")]
    facts += [(name, measured.get(name)) for name in ("canonical_url", "url_host", "url_domain")]
    facts += [
        (name, measured.get(name))
        for name in ("n_bytes", "n_text_bytes", "language", "language_score", "hangul_frac")
    ]
    facts += [
        (name, value) for name, value in measured.items() if name.endswith("_score") and name != "language_score"
    ]
    out.print(
        _table(["", ""], [(name, "" if value is None else str(value)) for name, value in facts if value is not None])
    )
    because = f" at stage {row['stage']}, because of {row['reason']}" if row["reason"] else ""
    numbers = f": {row['value']:.6g} against {row['threshold']:.6g}" if row["threshold"] is not None else ""
    out.print(f"\n[bold]{row['verdict']}[/]{because}{numbers} {escape(row['detail'] or '')}", soft_wrap=True)
    if row["duplicate_of"] and row["duplicate_of_copy"] is not None:
        out.print(f"duplicate of {row['duplicate_of']} copy {row['duplicate_of_copy']}", soft_wrap=True)
    for note in row.get("notes") or []:
        out.print(f"noted: {escape(note['kind'])}: {escape(note['detail'])}", soft_wrap=True)
    if story.held:
        out.print(f"an earlier run holds it: {escape(story.held['run'])}, {story.held['id']}", soft_wrap=True)
    if story.rules:
        out.print(_table(["rule", "says", "keeps where", "measured"], [_rule_row(rule) for rule in story.rules]))
    if story.exact_group:
        out.print("\nRecords with the same text:")
        _print_records(story.exact_group)
    if story.url_group:
        out.print("\nRecords with the same canonical URL:")
        _print_records(story.url_group)
    if story.near:
        _print_cluster(story.near, "Near-duplicates", "jaccard", "that of the shingles to those of")
    if story.semantic:
        _print_cluster(story.semantic, "Semantic duplicates", "cosine", "the cosine of the embedding to that of")
    if measured.get("signals"):
        out.print("\nSignals:")
        out.print(
            _table(
                ["", ""], [(name, f"{value:.6g}") for name, value in measured["signals"].items() if value is not None]
            )
        )
    if story.removed:
        out.print("\nRemoved from the text:")
        pieces = [
            (piece["rule"], f"{piece['start']}-{piece['end']}", escape(piece["text"])) for piece in story.removed
        ]
        out.print(_table(["rule", "characters", "text"], pieces))
    if story.items:
        out.print("\nBenchmark items found in the text:")
        items = [
            (
                f"{item['benchmark']}:{item['item']}",
                f"{item['score']:.2f}",
                *map(escape, (item["found"], item["wanted"])),
            )
            for item in story.items
        ]
        out.print(_table(["item", "score", "in the document", "in the benchmark"], items))
    if story.pii:
        out.print("\nPersonal data, as written:")
        spans = [(span["kind"], f"{span['start']}-{span['end']}", escape(span["written"])) for span in story.pii]
        out.print(_table(["kind", "characters", "text"], spans))
    if story.text:
        out.print(f"\n{story.text[:600]}", markup=False, style="dim")


def _print_records(records: list[dict[str, Any]]) -> None:
    """Records a block each, so that ids and URLs stay whole on whatever screen."""
    for item in records:
        outcome = item["verdict"] + (f": {item['reason']}" if item["reason"] else "")
        out.print(f"{item['id']} copy {item['copy']}, source {item['source']}, {outcome}", soft_wrap=True, **_PLAIN)
        if item["url"]:
            out.print(f"  {item['url']}", soft_wrap=True, **_PLAIN)
        if item["duplicate_of"]:
            out.print(f"  duplicate of {item['duplicate_of']}", soft_wrap=True, **_PLAIN)


def _print_cluster(near: Any, title: str, similarity: str, said: str) -> None:
    """The documents that are like one, and what became of them."""
    outcomes = ", ".join(f"{name} {n_docs:,}" for name, n_docs in near.n_by_outcome.items())
    out.print(f"\n{title}: {near.size:,} records in its cluster ({escape(outcomes)})", soft_wrap=True)
    if near.compared_with:
        out.print(f"Similarity is {said} {near.compared_with}.", soft_wrap=True)
    rows = [
        (
            member["id"],
            str(member["copy"]),
            member["source"],
            member["url"] or "",
            member["reason"] or member["verdict"],
            "" if member[similarity] is None else f"{member[similarity]:.3f}",
        )
        for member in near.members
    ]
    out.print(_table(["id", "copy", "source", "url", "outcome", "similarity"], rows))


def _rule_row(rule: Any) -> tuple[str, str, str, str]:
    says = "does not apply" if not rule.applies else {True: "holds", False: "fails", None: "missing"}[rule.holds]
    values = ", ".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in rule.values.values())
    return rule.name, says, rule.keep, values


def _print_targets(there: "list[Target]", run: str, as_json: bool) -> None:
    rows = [(target.n_only, target.name, target.rule.keep.sql) for target in there]
    if as_json:
        _print_json([dict(zip(("n_only", "rule", "keep"), row, strict=True)) for row in rows])
        return
    out.print(_table(["documents", "that only drops", "which keeps where"], [row for row in rows if row[0]]))
    idle = sum(not row[0] for row in rows)
    out.print(f"\n{idle} other rules drop nothing alone. Choose one: onggi tune {run} --rule NAME", soft_wrap=True)


_KEYS: "dict[str, Answer | Literal['back', 'quit']]" = {
    **dict.fromkeys("kㅏ", "keep"),  # and what the same keys give on a Korean keyboard
    **dict.fromkeys("dㅇ", "drop"),
    **dict.fromkeys("sㄴ", "skip"),
    **dict.fromkeys("bㅠ", "back"),
    **dict.fromkeys("qㅂ", "quit"),
}


def _show_document(place: int, document: "Document", before: str | None, n: int, n_chars: int) -> None:
    """A document to judge, on stderr; text of strangers, so nothing in it reaches the terminal as a command."""
    from curation.report_values import visible

    err.clear()
    facts = (f"{place + 1} of {n}", document.source, document.language, document.url)
    err.print(
        visible("  ".join(" ".join(fact.split()) for fact in facts if fact)),
        style="bold",
        overflow="ellipsis",
        **_PLAIN,
    )
    err.print(f"\n{_fitting(document.text, n_chars)}\n", **_PLAIN)
    said = f"  (so far: {before})" if before else ""
    err.print(f"[k]eep  [d]rop  [s]kip  [b]ack  [q]uit{said}", style="bold", **_PLAIN)


def _fitting(text: str, n_chars: int) -> str:
    """At most n_chars of a text, harmless, and no more than the terminal shows without scrolling."""
    from curation.report_values import visible
    from curation.tune import window

    while True:
        shown = visible(window(text, n_chars))
        if not err.is_terminal or n_chars < 100 or len(Text(shown).wrap(err, err.width)) <= err.height - 6:
            return shown
        n_chars = n_chars * 9 // 10


def _answer() -> "Answer | Literal['back', 'quit']":
    """A key where stdin is a terminal, else the first letter of a line."""
    while True:
        try:
            said = typer.getchar() if sys.stdin.isatty() else sys.stdin.readline() or "q"
        except EOFError:
            said = "q"
        if found := _KEYS.get(said.strip()[:1].lower()):
            return found


def _print_survey(target: "Target", found: "Survey", run: str, precision: float) -> None:
    from curation.tune import advice, written

    if found.good:
        n_docs = max(candidate.n_kept for candidate in found.candidates)
        out.print(
            f"{found.n_answers} answers, {found.n_good} of them keep. Of the {n_docs:,} documents that only this "
            f"threshold decides, {_estimate(found.good)} are worth keeping (95% intervals).\n",
            highlight=False,
            soft_wrap=True,
        )
        marks = {"best F1": found.best_f1, f"reaches {precision:g}": found.reaches, "surely": found.surely_reaches}
        rows = [
            (
                f"{target.comparison.op} {written(candidate.threshold)}",
                candidate.n_kept,
                f"{candidate.kept_frac:.0%}",
                _estimate(candidate.precision),
                _estimate(candidate.recall),
                ", ".join(
                    ["now"] * candidate.is_current + [name for name, mark in marks.items() if mark is candidate]
                ),
            )
            for candidate in found.candidates
        ]
        out.print(_table(["threshold", "documents", "share", "precision", "recall", ""], rows))
        out.print()
    for sentence in advice(found, precision):
        out.print(sentence, highlight=False, soft_wrap=True)
    if found.proposed and not found.proposed.is_current:
        assignment = quote(f"{target.name}={written(found.proposed.threshold)}")
        out.print(f"\nonggi decide {quote(run)} --set {assignment}", soft_wrap=True, **_PLAIN)


def _estimate(of: "Estimate") -> str:
    return f"{of.value:.2f} [{of.low:.2f}, {of.high:.2f}]"


def main() -> None:
    """The command line; an error that a person can act on is a message and an exit code, not a traceback."""
    gc.set_threshold(100_000, 20, 20)  # imports make many objects and no garbage: to look for some takes 0.1 s
    try:
        app()
    except OnggiError as error:
        err.print(f"onggi: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except SystemExit as ended:
        if ended.code != INTERRUPTED:
            raise
        err.print("onggi: stopped; the same command goes on from here", highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
