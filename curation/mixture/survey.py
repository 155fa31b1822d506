"""What a mixture's sources have: their slices, catalogued; what is held out; and what each stage asks of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import xxhash

from curation.mixture.catalogue import CATALOGUE_CODE, Available, Catalogue, CatalogueTask, catalogue, chosen, total
from curation.mixture.documents import Slice, read_texts, source_slices
from curation.mixture.holdout import HeldOut, held_totals, hold_out
from curation.mixture.order import Ordered
from curation.mixture.plan import Taker
from curation.mixture.shares import Asked, Has, asked
from curation.tokens.check import EngineCheck, check_engine
from curation.tokens.tokenizer import Tokenizer, load_tokenizer
from manifests.code import code_digest
from manifests.engine import HERE, Engine, Progress, Workers, map_shards
from manifests.errors import RequestError
from manifests.schema_mixture import MixtureManifest, Source
from manifests.store import Folder, resolve

STORE = "store"
OWN = ("ledger", "store", "tokens", "validation", "work")
"""Folders that a mixture writes in its own."""
CHECKS = "checks.json"
CHECKED_BYTES, CHECKED_BYTES_MIN = 1 << 18, 1 << 13
"""Text on which both engines are compared, of all sources together and of each at least: a library takes half a
second for a million bytes."""
MIX_CODE = (
    *CATALOGUE_CODE,
    "curation/kernels/packing.py",
    *(
        f"curation/mixture/{name}.py"
        for name in ("assemble", "holdout", "layout", "order", "packing", "plan", "shares", "token_rows")
    ),
    "manifests/contracts.py",
)
"""The code that sequences depend on."""


@dataclass(frozen=True)
class MixJob:
    """A mixture with what it needs to run."""

    manifest: MixtureManifest
    base: str
    output: str
    workers: Workers = HERE
    slices: tuple[tuple[Slice, ...], ...] = ()
    """Of each source."""

    @property
    def store(self) -> str:
        """Where tokenised documents lie."""
        own = self.manifest.output.store
        return resolve(own, self.base) if own else f"{self.output}/{STORE}"

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, with the engine that the manifest asks for."""
        return load_tokenizer(self.manifest.tokenizer, self.base)

    @property
    def fingerprint(self) -> str:
        """What the tokens depend on: documents, tokenizer, settings and code; not where anything lies."""
        asked_for = self.manifest.model_dump(mode="json", exclude={"output", "limits", "search", "tokenizer"})
        for source in asked_for["sources"]:
            source["path"] = source["run"] = source["run"] is not None
        files = [sorted({piece.path: piece.file_digest for piece in slices}.values()) for slices in self.slices]
        depends = [asked_for, self.tokenizer.digest, self.tokenizer.pad_id, files, code_digest(*MIX_CODE)]
        return xxhash.xxh3_128_hexdigest(orjson.dumps(depends, option=orjson.OPT_SORT_KEYS))


@dataclass(frozen=True)
class Surveyed:
    """What the sources have, in the order of the manifest."""

    catalogues: tuple[tuple[Catalogue, ...], ...]
    available: tuple[Available, ...]
    ordered: tuple[Ordered, ...]
    has: tuple[Has, ...]
    held: HeldOut
    n_held_documents: tuple[int, ...]
    """Of each source, documents of an epoch that are kept out of the training."""
    parts: tuple[str, ...]
    """All parts of the store that are pointed to."""
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    engine: str = "library"

    def asked(self, manifest: MixtureManifest) -> list[Asked]:
        """The stages, as they can be had."""
        return asked(manifest, self.has)

    def takers(self) -> list[Taker]:
        """A tape of each source, at its beginning."""
        return [
            Taker(ordered, has.n_epoch_tokens, has.tokens_max)
            for ordered, has in zip(self.ordered, self.has, strict=True)
        ]


def prepare(manifest: MixtureManifest, base: str, output: str | None = None, workers: Workers = HERE) -> MixJob:
    """Check everything that can be checked before any work, and cut the sources into slices.

    Raises:
        RequestError: a source or the tokenizer does not exist, or a predicate is wrong.
    """
    folder = resolve(output or manifest.output.path, base)
    job = MixJob(manifest, base, folder, workers)
    job.tokenizer  # noqa: B018  # says what is wrong with it before files are read
    return replace(job, slices=tuple(checked_slices(source, job) for source in manifest.sources))


def checked_slices(source: Source, job: MixJob) -> tuple[Slice, ...]:
    """The slices of a source of a mixture.

    Raises:
        RequestError: it does not exist, lies where the mixture writes, or its predicate is wrong.
    """
    try:
        found = source_slices(source, job.base, job.manifest.limits.slice_bytes)
    except RequestError as error:
        raise RequestError(f"sources: {source.name}: {error}") from None
    for path in dict.fromkeys(piece.path for piece in found):
        chosen(source, path)
    if inside := [piece.path for piece in found for name in OWN if piece.path.startswith(f"{job.output}/{name}/")]:
        raise RequestError(f"sources: {source.name}: {inside[0]}: lies where the mixture writes; name another output")
    return tuple(found)


def survey(job: MixJob, engine: Engine, progress: Progress) -> Surveyed:
    """Catalogue every slice, tokenising what is not in the store yet; choose what is held out."""
    checks = _checked_engines(job)
    name = job.tokenizer.engine
    if differ := [source for source, check in checks.items() if not check["equal"]]:
        if job.manifest.tokenizer.engine == "gigatoken":
            first = checks[differ[0]]["first_difference"]
            raise RequestError(
                f"tokenizer.engine: Gigatoken does not give the library's ids on {', '.join(differ)}: {first}; take "
                "`engine: auto`"
            )
        name = "library"
    catalogues = _catalogues(job, name, engine, progress)
    available = tuple(total(parts) for parts in catalogues)
    firsts, parts = _numbered_parts(catalogues)
    nothing = np.zeros(0, np.uint64)
    ordered = tuple(
        Ordered(
            number, source.name, job.manifest.seed, job.manifest.sequence_length, job.store, catalogues[number],
            firsts[number], available[number].n_epoch_tokens, nothing,
        )
        for number, source in enumerate(job.manifest.sources)
    )  # fmt: skip
    categories = [source.category for source in job.manifest.sources]
    held = hold_out(
        list(zip(categories, ordered, strict=True)), job.manifest.validation, job.manifest.sequence_length
    )
    lost = [held_totals(of, held.contents) for of in ordered]
    n_left = [there.n_epoch_tokens - n_tokens for there, (n_tokens, _) in zip(available, lost, strict=True)]
    return Surveyed(
        catalogues,
        available,
        tuple(replace(of, n_epoch_tokens=n, held=held.contents) for of, n in zip(ordered, n_left, strict=True)),
        tuple(Has(n, source.epochs_max) for n, source in zip(n_left, job.manifest.sources, strict=True)),
        held,
        tuple(n_documents for _, n_documents in lost),
        parts,
        checks,
        name,
    )


def _catalogues(job: MixJob, name: str, engine: Engine, progress: Progress) -> tuple[tuple[Catalogue, ...], ...]:
    settings = job.manifest.tokenizer
    if name != job.tokenizer.engine:
        settings = settings.model_copy(update={"engine": name})
    tasks = [
        CatalogueTask(
            source, piece, job.manifest.licenses, settings, job.base, job.store, job.manifest.limits.slice_bytes
        )
        for source, slices in zip(job.manifest.sources, job.slices, strict=True)
        for piece in slices
    ]
    n_all, n_done, found = sum(task.piece.text_bytes for task in tasks), 0, dict[CatalogueTask, Catalogue]()
    progress("tokenise", 0, n_all)
    for task, result in map_shards(catalogue, tasks, engine):
        found[task] = result
        n_done += task.piece.text_bytes
        progress("tokenise", n_done, n_all)
    in_order = iter([found[task] for task in tasks])
    return tuple(tuple(islice(in_order, len(slices))) for slices in job.slices)


def _numbered_parts(
    catalogues: Sequence[Sequence[Catalogue]],
) -> tuple[list[tuple[int, ...]], tuple[str, ...]]:
    """The number of the first part of each catalogue, and the names of all parts."""
    firsts, names = list[tuple[int, ...]](), list[str]()
    for of_source in catalogues:
        of_slices = []
        for one in of_source:
            of_slices.append(len(names))
            names += one.parts
        firsts.append(tuple(of_slices))
    return firsts, tuple(names)


def _checked_engines(job: MixJob) -> dict[str, dict[str, Any]]:
    """Of each source: whether both engines give its texts the same ids, on a sample; remembered in the store."""
    if job.manifest.tokenizer.engine == "library" or job.tokenizer.engine == "library":
        return {}
    store = Folder(job.store)
    known: dict[str, Any] = store.read_json(CHECKS) if store.exists(CHECKS) else {}
    found, n_known = dict[str, dict[str, Any]](), len(known)
    at_most = max(CHECKED_BYTES_MIN, CHECKED_BYTES // len(job.manifest.sources))
    for source, slices in zip(job.manifest.sources, job.slices, strict=True):
        if not slices:
            continue
        key = f"{job.tokenizer.digest}-{slices[0].key}-{source.text}"
        if key not in known:
            texts = _sample(source, slices[0], at_most)
            known[key] = _as_note(check_engine(job.tokenizer, texts, odd=not found))
        found[source.name] = known[key]
    job.tokenizer.forget_other()
    if len(known) > n_known:
        store.write_json(CHECKS, known)
    return found


def _as_note(check: EngineCheck) -> dict[str, Any]:
    return {name: getattr(check, name) for name in ("n_texts", "n_bytes", "equal", "first_difference")}


def _sample(source: Source, piece: Slice, n_bytes: int) -> pa.LargeStringArray:
    """The first texts of a slice."""
    frame = next(read_texts(piece, source.text, batch_bytes=n_bytes))
    texts = frame[source.text].drop_nulls()
    return texts.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
