"""Base forms ask what lm-eval's shipped tasks ask: prompts, continuations, right choices; with shots and without."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest

from tests.training.benchmarks import sample_rows as rows_of
from tests.training.benchmarks.sample_rows import Row
from tests.training.benchmarks.shipped_tasks import declared, files, oracle, prompt, sampled
from training.benchmarks.catalogue import task_of
from training.benchmarks.choices_knowledge import HAERAE_SUBJECTS, KMMLU_SUBJECTS
from training.benchmarks.maths import MATH_SUBJECTS
from training.benchmarks.task import Task

N = 12


@dataclass(frozen=True)
class Case:
    """A benchmark beside the shipped file of it, or of one of its subjects."""

    name: str
    file: str
    rows: Callable[[], Sequence[Row]]


CSAT = ["CSAT_korean_22_1", "KHB_1", "TK_1_2", "Kedu_16_1", "PSE_korean_1", "CSAT_korean_22_4", "CSAT_korean_22_6"]
CASES = [
    Case("mmlu", "mmlu/default/mmlu_abstract_algebra.yaml", lambda: rows_of.mmlu(N, "abstract_algebra")),
    Case("kmmlu", "kmmlu/default/kmmlu_criminal_law.yaml", lambda: rows_of.kmmlu(N, "Criminal-Law")),
    Case("haerae", "haerae/haerae_lw.yaml", lambda: rows_of.haerae(N, "loan_words")),
    Case("click", "click/click_cul/click_cul_history.yaml", lambda: rows_of.click([f"KHB_{at}" for at in range(N)])),
    Case(
        "click",
        "click/click_lang/click_lang_text.yaml",
        lambda: rows_of.click([f"CSAT_korean_22_{at}" for at in range(N)]),
    ),
    Case("kobest-boolq", "kobest/kobest_boolq.yaml", lambda: rows_of.boolq(N)),
    Case("kobest-copa", "kobest/kobest_copa.yaml", lambda: rows_of.copa(N)),
    Case("kobest-wic", "kobest/kobest_wic.yaml", lambda: rows_of.wic(N)),
    Case("kobest-hellaswag", "kobest/kobest_hellaswag.yaml", lambda: rows_of.hellaswag(N)),
    Case("kobest-sentineg", "kobest/kobest_sentineg.yaml", lambda: rows_of.sentineg(N)),
    Case("belebele-ko", "belebele/belebele_kor_Hang.yaml", lambda: rows_of.belebele(N)),
    Case("belebele-en", "belebele/belebele_eng_Latn.yaml", lambda: rows_of.belebele(N)),
    Case("mmlu-pro", "mmlu_pro/mmlu_pro_computer_science.yaml", lambda: rows_of.mmlu_pro(N, "computer science")),
    Case("bbh", "bbh/cot_fewshot/boolean_expressions.yaml", lambda: rows_of.bbh(N, "boolean_expressions")),
    Case("gsm8k", "gsm8k/gsm8k.yaml", lambda: rows_of.gsm8k(N)),
    Case("math", "minerva_math/minerva_math_algebra.yaml", lambda: rows_of.hendrycks_math(N)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.file.rpartition('/')[2]}")
@pytest.mark.parametrize("shots", [0, 2])
def test_is_asked_as_shipped(case: Case, shots: int) -> None:
    task, rows = task_of(case.name), case.rows()
    found = oracle(case.file, rows[:6], rows[6:])
    for row, theirs in zip(rows[:6], list(found.test_docs())[:6], strict=True):
        examples = sampled(found, theirs, shots)
        asked = found.fewshot_context(theirs, shots)
        assert prompt(task, row, examples) == asked
        assert row not in examples
        if task.sampler == "first":
            assert [task.ask(one) for one in examples] == list(map(task.ask, first_ones(task, rows, row, shots)))
        requests = found.construct_requests(theirs, asked, doc_id=0, metadata=("", 0, 1))
        if task.form == "choices":
            check_choices(found, task, row, theirs, requests)
        else:
            assert tuple(requests.args[1]["until"]) == task.stop
            assert requests.args[1].get("max_gen_toks", 256) == task.max_new_tokens


def first_ones(task: Task, rows: Sequence[Row], row: Row, shots: int) -> list[Row]:
    """The first examples of the row's group, as the sampler `first` takes them; a row is never its own."""
    pool: Sequence[Row] = rows if task.example_split == task.test_split else task.examples or rows[6:]
    group = task.group if task.same_group_examples else None
    return [one for one in pool if one != row and (group is None or group(one) == group(row))][:shots]


def check_choices(found: object, task: Task, row: Row, theirs: Row, requests: Sequence[object]) -> None:
    """Continuations, and which of them is right."""
    assert task.choices
    ours = [task.delimiter + choice for choice in task.choices(row)]
    assert [request.args[1] for request in requests] == ours  # type: ignore[attr-defined]
    for place in range(len(ours)):
        likely = [(0.0 if at == place else -50.0, False) for at in range(len(ours))]
        scores = found.process_results(theirs, likely)  # type: ignore[attr-defined]
        assert scores["acc"] == float(place == task.right(row))
        assert task.main in scores


def test_shots_are_those_of_the_shipped_task_where_reports_are_silent() -> None:
    assert declared("mmlu_pro/_default_template_yaml")["num_fewshot"] == task_of("mmlu-pro").shots
    assert declared("bbh/cot_fewshot/_cot_fewshot_template_yaml")["num_fewshot"] == task_of("bbh").shots
    assert declared("minerva_math/minerva_math_algebra.yaml")["num_fewshot"] == task_of("math").shots
    assert declared("gsm8k/gsm8k.yaml")["num_fewshot"] == task_of("gsm8k").shots


@pytest.mark.parametrize(
    ("name", "folder", "column"),
    [("mmlu", "mmlu/default", "subject"), ("mmlu-pro", "mmlu_pro", "category"), ("bbh", "bbh/cot_fewshot", "subset")],
)
def test_every_subject_is_described_as_shipped(name: str, folder: str, column: str) -> None:
    task = task_of(name)
    assert task.describe
    for path in files(folder):
        said = declared(f"{folder}/{path.name}")
        subject = said.get("dataset_name") or said["task_alias"].replace("_", " ")
        assert task.describe({column: subject}) == said["description"], path.name


def test_subjects_are_those_that_are_shipped() -> None:
    def shipped_names(folder: str) -> set[str]:
        return {declared(f"{folder}/{path.name}")["dataset_name"] for path in files(folder)}

    assert set(KMMLU_SUBJECTS) == shipped_names("kmmlu/default") and len(KMMLU_SUBJECTS) == 45
    assert set(HAERAE_SUBJECTS) == shipped_names("haerae")
    assert set(MATH_SUBJECTS) == {
        declared(f"minerva_math/{path.name}")["dataset_name"]
        for path in files("minerva_math")
        if path.name != "minerva_math500.yaml"
    }
    assert (
        set(task_of("bbh").configurations) == shipped_names("bbh/cot_fewshot") and len(task_of("bbh").examples) == 81
    )


def test_examples_of_bbh_are_of_their_own_task() -> None:
    examples = task_of("bbh").examples
    names = [example["subset"] for example in examples]
    assert all(names.count(name) == 3 for name in names)
    assert sum(one != other for one, other in pairwise(names)) == len(set(names)) - 1


CLICK_IDS = [
    *(f"CSAT_korean_{year}_{number}" for year in (15, 20, 22, 23) for number in (1, 10, 11, 34, 36)),
    *("Kedu_16_1", "Kedu_17_3", "TK_1_2", "TK_1_5", "PSE_korean_2", "KHB_3", "PSAT_social_1", "KIIP_economy_1"),
    *("KIIP_law_2", "CSAT_geography_3", "KIIP_politics_1", "KIIP_popular_1", "KIIP_society_9", "KIIP_tradition_2"),
    *("PSE_history_1", "Nothing_1"),
]


def test_categories_of_click_are_those_of_the_shipped_filters() -> None:
    from datasets import Dataset

    task = task_of("click")
    assert task.group
    rows = rows_of.click(CLICK_IDS)
    data = Dataset.from_list([dict(row) for row in rows])
    found = dict[str, set[str]]()
    for folder in ("click/click_lang", "click/click_cul"):
        for path in files(folder):
            process = oracle_filter(f"{folder}/{path.name}")
            for row in process(data):
                found.setdefault(row["id"], set()).add(path.stem.rpartition("_")[2])
    for row in rows:
        assert task.group(row) in found.get(row["id"], {"other"}), row["id"]


def oracle_filter(file: str) -> Callable[..., Sequence[Row]]:
    from lm_eval.tasks._yaml_loader import load_yaml

    from training.benchmarks import shipped

    process: Callable[..., Sequence[Row]] = load_yaml(shipped.folder("") / file)["process_docs"]
    return process
