"""What a model knows, by multiple choice: MMLU, KMMLU, HAE-RAE and CLIcK, as lm-eval asks them."""

from manifests.errors import RequestError
from training.benchmarks.means import over_groups
from training.benchmarks.rows import letters, listed, place, text, texts
from training.benchmarks.task import Doc, Task

OVER_QUESTIONS = "over questions, as lm-eval's group (weight_by_size); `acc_macro` is the mean of subjects"
HAERAE_CHOICES = ("(A)", "(B)", "(C)", "(D)", "(E)")
_KMMLU = (
    "Accounting Agricultural-Sciences Aviation-Engineering-and-Maintenance Biology Chemical-Engineering Chemistry "
    "Civil-Engineering Computer-Science Construction Criminal-Law Ecology Economics Education "
    "Electrical-Engineering Electronics-Engineering Energy-Management Environmental-Science Fashion "
    "Food-Processing Gas-Technology-and-Engineering Geomatics Health Industrial-Engineer Information-Technology "
    "Interior-Architecture-and-Design Korean-History Law Machine-Design-and-Manufacturing Management "
    "Maritime-Engineering Marketing Materials-Engineering Math Mechanical-Engineering Nondestructive-Testing "
    "Patent Political-Science-and-Sociology Psychology Public-Safety Railway-and-Automotive-Engineering "
    "Real-Estate Refrigerating-Machinery Social-Welfare Taxation "
    "Telecommunications-and-Wireless-Technology"
)
KMMLU_SUBJECTS = tuple(_KMMLU.split())
HAERAE_SUBJECTS = ("general_knowledge", "history", "loan_words", "rare_words", "standard_nomenclature")


def mmlu_subject(row: Doc) -> str:
    """As `abstract_algebra`."""
    return text(row, "subject")


def mmlu_right(row: Doc) -> int:
    """Place of the right choice."""
    return place(row, "answer", 4)


def mmlu_question(row: Doc) -> str:
    """The question and its choices."""
    return f"{text(row, 'question').strip()}\n{listed(texts(row, 'choices', 4)[:4])}"


def kmmlu_choices(row: Doc) -> list[str]:
    """Columns `A` to `D`, or a list `choices`.

    Raises:
        RequestError: the row has neither.
    """
    if "choices" in row and "A" not in row:
        return texts(row, "choices", 4)[:4]
    if any(not isinstance(row.get(letter), str) for letter in "ABCD"):
        raise RequestError(
            "expected the choices as texts in `A`, `B`, `C` and `D` (KMMLU's columns), or as a list in `choices`"
        )
    return [text(row, letter) for letter in "ABCD"]


def kmmlu_question(row: Doc) -> str:
    """The question and its choices."""
    return f"{text(row, 'question').strip()}\n{listed(kmmlu_choices(row))}"


def kmmlu_right(row: Doc) -> int:
    """Place of the right choice: a number from 1, as published, or a letter."""
    return place(row, "answer", 4, first=1)


def kmmlu_subject(row: Doc) -> str:
    """As `Criminal-Law`; empty where the row does not say it."""
    return str(row.get("Category") or "")


def haerae_right(row: Doc) -> int:
    """Place of the right choice: `(A)` is 0."""
    return place(row, "answer", len(HAERAE_CHOICES))


def subset(row: Doc) -> str:
    """The configuration that a row is of; empty where it does not say it."""
    return str(row.get("subset") or "")


_CLICK_IN_A_CONTEXT = (
    "주어진 맥락을 천천히 읽고, 질문에 대한 적절한 정답을 A, B, C, D 중에 골라 알파벳 하나로 답하시오."
)
_CLICK = "주어진 질문을 천천히 읽고, 적절한 정답을 A, B, C, D 중에 골라 알파벳 하나로 답하시오."


def click_question(row: Doc) -> str:
    """lm-eval's prompt, which lists four choices also where there are five, with its own spaces."""
    context, asked, options = row.get("paragraph"), text(row, "question"), texts(row, "choices", 4)
    head = f"{_CLICK_IN_A_CONTEXT}\n\n맥락: {context}\n" if context else f"{_CLICK}\n\n"
    shown = ", ".join((f"A:{options[0]}", f"B: {options[1]}", f"C: {options[2]}", f"D: {options[3]}"))
    return f"{head}질문: {asked}\n보기:\n{shown}\n정답:"


def click_letters(row: Doc) -> list[str]:
    """Five for questions of the CSAT, else four."""
    return letters(5 if "CSAT" in text(row, "id") else 4)


def click_right(row: Doc) -> int:
    """Place of the right choice, whose text is `answer`.

    Raises:
        RequestError: no choice has that text, or it is one that has no letter.
    """
    options, answer = texts(row, "choices", 4), text(row, "answer")
    n = len(click_letters(row))
    if answer not in options[:n]:
        raise RequestError(f"`answer`: expected the text of one of the first {n} `choices`, found {answer!r}")
    return options.index(answer)


_CLICK_BY_NAME = {
    "economy": "economy",
    "geography": "geography",
    "history": "history",
    "law": "law",
    "politics": "politics",
    "popular": "kpop",
    "society": "society",
    "tradition": "tradition",
}


def click_category(row: Doc) -> str:
    """lm-eval's category of a question, which follows from its id: `text`, `grammar`, `function`, `history`, ...

    Rows that are of none there, so that its group leaves them out, are `other`.
    """
    name = text(row, "id")
    if "KHB" in name:
        return "history"
    if "PSAT" in name:
        return "law"
    for part, category in _CLICK_BY_NAME.items():
        if part in name.lower():
            return category
    return _click_language(row, name)


def _click_language(row: Doc, name: str) -> str:
    parts = [int(part) if part.isdecimal() else -1 for part in name.split("_")]
    last = parts[-1]
    if "CSAT_korean" in name and len(parts) >= 4:
        year, number = parts[2], parts[3]
        if year == 22 or (year == 23 and last < 35):
            return "text"
        if year < 21:
            return "grammar" if number > 10 else "function"
        return "function" if last > 34 else "other"
    if "Kedu_1" in name:
        spoken = any(word in text(row, "question") for word in ("대화", "발화", "질의"))
        return "function" if parts[1] == 16 and spoken else "grammar"
    if "TK" in name and last >= 0:
        return "text" if last > 4 else "grammar"
    return "function" if "PSE_korean" in name else "other"


MMLU = Task(
    name="mmlu",
    columns=("question", "subject", "choices", "answer"),
    hub=("cais/mmlu", "all"),
    form="choices",
    ask=lambda row: f"{mmlu_question(row)}\nAnswer:",
    right=mmlu_right,
    choices=lambda row: letters(4),
    main="acc",
    shots=5,
    aggregate=over_groups("acc", mmlu_subject),
    example_split="dev",
    describe=lambda row: (
        f"The following are multiple choice questions (with answers) about {mmlu_subject(row).replace('_', ' ')}.\n\n"
    ),
    group=mmlu_subject,
    same_group_examples=True,
    source="prompt: lm-eval 0.4.13, mmlu; shots: Kanana, Table 1 (5), and DNA's model card (5)",
    settings={"mean": OVER_QUESTIONS},
)
KMMLU = Task(
    name="kmmlu",
    columns=("question", "answer"),
    hub=("HAERAE-HUB/KMMLU", None),
    configurations=KMMLU_SUBJECTS,
    configuration_column="Category",
    form="choices",
    ask=lambda row: f"{kmmlu_question(row)}\n정답：",
    right=kmmlu_right,
    choices=lambda row: letters(4),
    main="acc",
    shots=5,
    aggregate=over_groups("acc", kmmlu_subject),
    example_split="dev",
    sampler="random",
    group=kmmlu_subject,
    same_group_examples=True,
    source="prompt: lm-eval 0.4.13, kmmlu; shots: Kanana, Table 1 (5), and DNA's model card (5)",
    settings={"mean": OVER_QUESTIONS},
)
HAERAE = Task(
    name="haerae",
    columns=("query", "answer"),
    hub=("HAERAE-HUB/HAE_RAE_BENCH", None),
    configurations=HAERAE_SUBJECTS,
    configuration_column="subset",
    form="choices",
    ask=lambda row: text(row, "query"),
    right=haerae_right,
    choices=lambda row: list(HAERAE_CHOICES),
    main="acc",
    shots=5,
    aggregate=over_groups("acc", subset),
    example_split="test",
    sampler="random",
    group=subset,
    same_group_examples=True,
    source="prompt: lm-eval 0.4.13, haerae; shots: Kanana, Table 1 (5)",
    settings={"mean": OVER_QUESTIONS},
)
CLICK = Task(
    name="click",
    columns=("id", "question", "choices", "answer"),
    hub=("EunsuKim/CLIcK", None),
    form="choices",
    ask=click_question,
    right=click_right,
    choices=click_letters,
    main="acc",
    aggregate=over_groups("acc", click_category),
    test_split="train",
    example_split="train",
    sampler="random",
    group=click_category,
    same_group_examples=True,
    source="prompt and shots: lm-eval 0.4.13, click (0)",
    settings={"mean": OVER_QUESTIONS},
)
TASKS = {task.name: task for task in (MMLU, KMMLU, HAERAE, CLICK)}
