"""A training of six stages as its page is given it: curves like real ones, gates, answers, tables; all made up."""

import math
from collections.abc import Iterator

import numpy as np

from training.jobs import Cell, Made, Table
from training.merging.charts import angle_chart
from training.merging.report import TensorRecord
from training.pages.charts import Chart, Line, line_chart
from training.summary_models import Answer, Measures, StageSummary, TrainingSummary, Verdict

HOSTILE = "</p><script>alert(1)</script><img src=x onerror=alert(2)> \u202e{{ 7 * 7 }} \x07"
N = 134_515_008

Curve = list[dict[str, Cell]]
PROMPTS = (
    "김치가 익는 동안 무슨 일이 일어나는지 세 문장으로 설명해 주세요.",
    "Explain in two sentences why an onggi jar breathes.",
    "사과가 한 봉지에 6개씩 들어 있습니다. 4봉지를 사서 5개를 먹었다면 몇 개가 남았습니까?",
    "다음 문장을 영어로 옮기세요: 오늘은 하늘이 유난히 높다.",
)
ANSWERS = {
    "base": (
        "김치가 익는 동안 김치가 익는 동안 김치가 익는 동안 김치가 익는",
        "The jar is a jar of the jar. It is made of clay and is a",
        "사과가 한 봉지에 6개씩 들어 있습니다. 4봉지를 사서",
        "Today the sky the sky",
    ),
    "cpt": (
        "김치가 익는 동안 유산균이 자란다. 김치는 배추와 고춧가루로 만들며 겨울에 담근다. 옛날에는 땅에 묻었다",
        "An onggi jar is an earthenware used in Korea. It was used for",
        "사과가 한 봉지에 6개씩 들어 있으면 4봉지는 24개이다. 그중에서",
        "오늘은 하늘이 유난히 높다. 구름이 없고 바람이 선선한 날이다.",
    ),
    "sft": (
        "김치가 익는 동안 유산균이 배추의 당을 젖산으로 바꿉니다. 그래서 산도가 올라가고 신맛이 납니다. "
        "낮은 온도에서는 이 과정이 느려 맛이 오래갑니다.",
        "Its walls hold tiny pores that let air and vapour pass, but not water. So gases of fermentation leave.",
        "4봉지에는 6 × 4 = 24개가 있습니다. 5개를 먹었으므로 24 − 5 = 19개가 남았습니다.",
        "The sky is unusually high today.",
    ),
    "online": (
        "김치가 익는 동안 유산균이 당을 젖산으로 바꾸어 신맛이 생깁니다. 산도가 높아지면 다른 미생물은 자라기 "
        "어렵습니다. 온도가 낮을수록 천천히 익어 맛이 오래갑니다.",
        "The clay is fired so that its wall keeps pores too small for water but wide enough for air. Gases of "
        "fermentation therefore leave the jar while its brine stays.",
        "한 봉지에 6개씩 4봉지이면 24개입니다. 여기서 5개를 먹었으니 19개가 남습니다.",
        "The sky looks exceptionally high today.",
    ),
}


def cosine(step: int, n: int, peak: float, warmup: int) -> float:
    return peak * (step / warmup if step < warmup else 0.5 * (1 + math.cos(math.pi * (step - warmup) / (n - warmup))))


def language_curve(n: int, start: float, end: float, peak: float, seed: int, spike: int = 0) -> Curve:
    """Of CPT and SFT: a loss that falls, noise that is that of a batch."""
    random = np.random.default_rng(seed)
    rows: Curve = []
    for step in range(1, n + 1):
        loss = end + (start - end) * math.exp(-5 * step / n) + random.normal(0, 0.05)
        row: dict[str, Cell] = {"step": step, "loss": round(loss + 1.6 * (step == spike), 4)}
        row |= {"learning_rate": cosine(step, n, peak, n // 30 + 1), "epoch": step / n}
        row |= {"grad_norm": round(float(0.4 + abs(random.normal(0, 0.08)) + 5 * (step == spike)), 4)}
        rows.append(row)
    return rows


def preference_curve(n: int, seed: int) -> Curve:
    """Of offline DPO, with TRL's names."""
    random = np.random.default_rng(seed)
    rows: Curve = []
    for step in range(1, n + 1):
        gain = 1 - math.exp(-3 * step / n)
        margin = 0.9 * gain + random.normal(0, 0.12)
        chosen = -0.15 * gain + random.normal(0, 0.04)
        rows.append(
            {
                "step": step,
                "loss": round(math.log1p(math.exp(-margin)), 4),
                "learning_rate": cosine(step, n, 1e-6, n // 10),
                "grad_norm": round(float(3 + random.normal(0, 0.4)), 3),
                "rewards/chosen": round(chosen, 4),
                "rewards/rejected": round(chosen - margin, 4),
                "rewards/margins": round(margin, 4),
                "rewards/accuracies": round(float(np.clip(0.5 + 0.3 * gain + random.normal(0, 0.07), 0, 1)), 3),
                "logps/chosen": round(-120 - 4 * gain, 2),
            }
        )
    return rows


def online_curve(n: int, seed: int) -> Curve:
    random = np.random.default_rng(seed)
    rows: Curve = []
    for step in range(1, n + 1):
        gain = 1 - math.exp(-2.5 * step / n)
        rows.append(
            {
                "step": step,
                "loss": round(0.69 - 0.12 * gain + random.normal(0, 0.02), 4),
                "learning_rate": 1e-6,
                "rewards/margins": round(0.5 * gain + random.normal(0, 0.06), 4),
                "rewards/accuracies": round(float(np.clip(0.5 + 0.25 * gain + random.normal(0, 0.08), 0, 1)), 3),
                "my_own": step % 3,
                "reward_mean": round(0.3 + 0.9 * gain + random.normal(0, 0.15), 4),
                "answer_length": round(88 + 9 * gain + random.normal(0, 6), 1),
            }
        )
    return rows


def answers(of: str, rewards: tuple[float, ...] = ()) -> list[Answer]:
    found = zip(PROMPTS, ANSWERS[of], strict=True)
    return [
        Answer(
            prompt=prompt,
            answer=answer,
            n_tokens=len(answer) // 2,
            ended=of not in ("base", "cpt"),
            reward=rewards[k] if rewards else None,
        )
        for k, (prompt, answer) in enumerate(found)
    ]


def measures(ko: float, en: float, mmlu: float, length: float, reward: float) -> Measures:
    return {
        "ko": {"loss": ko * 1.9, "bits_per_byte": ko, "n_tokens": 120_000, "n_bytes": 330_000},
        "en": {"loss": en * 2.9, "bits_per_byte": en, "n_tokens": 110_000, "n_bytes": 450_000},
        "mmlu": {"accuracy": mmlu, "n_questions": 500},
        "answers": {"mean_length": length, "ended_frac": 0.4 if length > 200 else 0.97, "reward_mean": reward},
    }


def records() -> list[TensorRecord]:
    found = []
    for layer in range(30):
        for k, module in enumerate(("self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj")):
            angle = 2.0 + 5 * math.sin(layer / 9) + k
            of = {
                "layer": layer,
                "module": module,
                "angle": angle,
                "path": "slerp" if angle > 3 else "linear",
                "t": 0.5,
            }
            found.append(TensorRecord(name="", shape=[4, 4], dtype="F32", n_numbers=16, **of))  # type: ignore[arg-type]
    return found


def merge_made() -> Made:
    layers = [(float(k), 2.0 + 5 * math.sin(k / 9)) for k in range(30)]
    sweep = [(0.98 + 0.09 * t, 1.31 - 0.22 * t + 0.3 * (t - 0.5) ** 2) for t in (0.0, 0.3, 0.5, 0.7, 1.0)]
    angle = Chart([Line(layers, "mlp"), Line([(x, y * 0.6) for x, y in layers], "attention", "dropped")], "layer")
    front = Line(sweep, has_dots=True, names=["t = 0", "0.3", "0.5", "0.7", "1"])
    return Made(
        counts={"tensors": 272},
        figures={"slerp_frac": 0.38, "mean_angle_degrees": 3.21},
        tables=[
            Table(
                title="Angles by module",
                columns=["module", "tensors", "mean cosine", "SLERP", "fallback"],
                rows=[
                    ["self_attn", 120, 0.99831, 41, 79],
                    ["mlp", 90, 0.99702, 62, 28],
                    ["embed_tokens", 1, 0.9999, 0, 1],
                ],
                note="Above a cosine of .9995 the straight line is taken.",
            ),
            Table(
                title="Samples",
                columns=["prompt", "answer", "score"],
                rows=[
                    [
                        "김치란?",
                        "배추를 절여 양념에 버무려 익힌 음식입니다. 옹기에 담아 두면 천천히 익습니다.\n끝.",
                        0.5,
                    ]
                ],
            ),
        ],
        charts={
            "angles": angle_chart(records()),
            "angle between the parents, degrees": line_chart(angle),
            "sweep of t: Korean against English": line_chart(Chart([front], "English, bits per byte", "Korean")),
        },
    )


def stages() -> Iterator[StageSummary]:
    yield StageSummary(
        name="base", kind="base", folder="models/base", n_parameters=N,
        answers=answers("base", (-1.9, -1.2, -1.6, -0.8)),
        measures=measures(1.31, 0.98, 0.302, 240, -1.4),
    )  # fmt: skip
    yield StageSummary(
        name="cpt", kind="cpt", folder="out/run/cpt", starts_from=["base"], n_parameters=N, n_trained_parameters=N,
        seconds=5_290, n_resumed=1, peak_bytes=3_900_000_000, flops=6 * N * 24_576_000,
        made=Made(counts={"steps": 3000, "tokens": 24_576_000, "trained_tokens": 24_512_300, "sequences": 3000},
                  figures={"loss_first": 3.11, "loss_last": 2.21}),
        curve=language_curve(3000, 3.1, 2.2, 3e-4, 1, spike=1811), measures=measures(1.09, 0.991, 0.298, 231, -1.1),
        answers=answers("cpt", (-1.0, -1.1, -1.2, -1.1)),
        gates=[
            Verdict(gate="validation_loss", passed=True, found="en: loss 2.842 -> 2.874 (+1.1%; at most +2.0%)"),
            Verdict(gate="accuracy", passed=True, found="mmlu: accuracy 30.2% -> 29.8% (-0.4 points; at most -5.0)"),
        ],
    )  # fmt: skip
    yield StageSummary(
        name="sft", kind="sft", folder="out/run/sft", starts_from=["cpt"], n_parameters=N, n_trained_parameters=N,
        seconds=1_310, peak_bytes=3_700_000_000, flops=6 * N * 4_100_000,
        made=Made(counts={"steps": 620, "examples": 9_920, "tokens": 4_100_000, "trained_tokens": 2_630_000},
                  figures={"loss_first": 2.4, "loss_last": 1.52}, left_out={"too_long": 41, "no_assistant_turn": 3},
                  tables=[Table(
                      title="Leave one domain out", columns=["left out", "code", "maths", "chat"],
                      rows=[["none", 1.0, 1.0, 1.0], ["code", 0.71, 0.98, 1.0], ["maths", 0.99, 0.64, 1.01],
                            ["chat", 1.0, 0.99, 0.83]],
                      note="Each measure as a share of what training on all domains gives (Kanana, table 9).")]),
        curve=language_curve(620, 2.4, 1.5, 2e-5, 2), measures=measures(1.11, 1.004, 0.311, 92, 0.12),
        answers=answers("sft", (0.2, 0.1, 0.7, -0.3)),
    )  # fmt: skip
    yield StageSummary(
        name="reward", kind="reward", folder="out/run/reward", starts_from=["sft"], n_parameters=N,
        n_trained_parameters=N, seconds=402, flops=6 * N * 1_900_000,
        made=Made(counts={"steps": 250, "pairs": 4000, "tokens": 1_900_000, "trained_tokens": 1_900_000},
                  figures={"accuracy": 0.913, "margin": 2.1}),
        curve=[{key: value for key, value in row.items() if key in ("step", "loss", "learning_rate")}
               | {"accuracy": row["rewards/accuracies"], "margin": row["rewards/margins"],
                  "max_reward": 2.0, "mean_reward": 0.1, "min_reward": -1.8}
               for row in preference_curve(250, 5)],
        gates=[Verdict(gate="reward_accuracy", passed=True, found="held-out pairs: accuracy 91.3% (at least 90.0%)")],
    )  # fmt: skip
    yield StageSummary(
        name="merged", kind="merge", folder="out/run/merged", starts_from=["sft", "../instruct"], n_parameters=N,
        seconds=4.2, made=merge_made(), measures=measures(1.115, 0.986, 0.324, 95, 0.21), answers=answers("sft"),
        gates=[Verdict(gate="validation_loss", passed=True, found="ko: loss 2.109 -> 2.118 (+0.5%; at most +5.0%)")],
    )  # fmt: skip
    yield StageSummary(
        name="dpo", kind="dpo", folder="out/run/dpo", starts_from=["merged"], n_parameters=N,
        n_trained_parameters=4_900_000, seconds=980, flops=6 * N * 3_300_000,
        made=Made(counts={"steps": 500, "pairs": 8000, "tokens": 3_300_000, "trained_tokens": 1_800_000},
                  figures={"accuracy": 0.79, "margin": 0.86}, left_out={"too_long": 12}),
        curve=preference_curve(500, 3), measures=measures(1.119, 0.99, 0.322, 97, 0.48), answers=answers("sft"),
    )  # fmt: skip
    yield StageSummary(
        name="online", kind="online_dpo", folder="out/run/online", starts_from=["dpo", "reward"], n_parameters=N,
        n_trained_parameters=N, seconds=2_050, flops=6 * N * 2_200_000,
        made=Made(counts={"steps": 300, "prompts": 4_800, "tokens": 2_200_000, "trained_tokens": 900_000}),
        curve=online_curve(300, 4), measures=measures(1.124, 0.995, 0.321, 131, 0.83),
        answers=answers("online", (1.1, 0.9, 1.3, 0.2)),
        gates=[
            Verdict(gate="reward_drift", passed=True, found="answers: distance 0.31 (at most 0.50), mean +0.35"),
            Verdict(
                gate="length_bias", passed=False,
                found="answers: mean length 97 -> 131 (+35.1%; at most +20.0%) while the mean reward rose by 0.35",
                advice="The reward pays for length (DNA 1.0, failure signatures). Keep the reference fixed, as "
                "Kanana does; take `length_desensitization` in the offline stage; look at rewards by length.",
                figures={"growth": 0.351},
            ),
        ],
    )  # fmt: skip


def summary() -> TrainingSummary:
    """A run whose last gate failed."""
    return TrainingSummary(name="dna-small", stages=list(stages()), stopped_at="online")


RECORD = {
    "created": "2026-12-01T03:10:00+00:00",
    "onggi_version": "0.1.0",
    "folder": "out/dna-small",
    "environment": {"torch": "2.13.0", "transformers": "5.23.0", "trl": "1.16.0", "device": "cpu, 2 threads"},
    "manifest": {
        "kind": "training",
        "name": "dna-small",
        "base": "models/base",
        "stages": [{"kind": "cpt", "name": "cpt", "mixture": [{"path": "out/mixture"}]}]
        + [{"kind": kind, "name": kind} for kind in ("sft", "reward", "merge", "dpo", "online_dpo")],
    },
}
