"""What the papers suggest where a gate fails, each with its source; what is no paper's finding says so."""

from manifests.schema_training_gates import AccuracyGate, LossGate, PlateauGate, ScoreGate, TrainingGate

REPLAY = (
    "The model forgets. Take more of what it knew among the new data (`replay`): Kanana-2's mid-training has 50B of"
    " 250B tokens so, Solar Open's 170B of 1,150B; Thunder-LLM continued Llama 3.1 on 54B tokens of English beside "
    "48B of Korean and kept over 94% of its English. A smaller `learning_rate` changes less of both (no paper says "
    "how small)."
)
TOO_KOREAN = (
    "A fall of over 5 points in English MMLU points to a mixture, or a merge, that is too Korean (a reading of DNA "
    "1.0)."
)
MERGE = (
    "Take `t` nearer to the model whose loss has to hold (the instruct model, for English), or one per layer and "
    "module; the most used is self_attn [0, .5, .3, .7, 1], mlp [1, .5, .7, .3, 0], the rest .5. `sweep: [0.3, 0.5,"
    " 0.7]` measures several. Look at the cosines on the page: where |cos| is above .9995, slerp is linear anyway "
    "(mergekit), so only `t` matters; where it is far from 1 the models are no kin, and no `t` may do. DNA 1.0 does"
    " not publish its `t`."
)
SFT = (
    "Fewer `epochs` or a smaller `learning_rate` (neither report publishes its own). A merge with the model before "
    "brings general ability back, and takes some of the new: Kanana's RAG model, table 11: helpfulness 52.67 -> "
    "57.32, grounding 65.33 -> 57.38."
)
PREFERENCES = (
    "Hold the policy closer: a greater `beta` (DNA 1.0: 0.1), fewer `epochs` (DNA 1.0: 2) or `steps`, a smaller "
    "`learning_rate` (DNA 1.0: 1e-6), or the likelihood of chosen answers beside the preference (`loss: {sigmoid: "
    "1, sft: 0.2}`). A merge with the model before brings general ability back (Kanana, table 11)."
)
DISTILLATION = (
    "A student becomes its teacher, also where that is worse, and what the data leaves out goes. Measure the teacher "
    "by the same sets first; then look at the data, which counts more for small students (Kanana, table 18: more "
    "general English took its 1.3B's MMLU from 39.52 to 44.00). Some of the data's own loss (`ce_weight`) or a "
    "smaller `learning_rate` (Kanana: 1.2e-4 with 100 steps of warm-up) holds it nearer to what it was."
)
DEPTH = (
    "A model whose layers were put on each other is worse at first, and trained on: Kanana's 9.8B on 100B tokens of "
    "its first stage's mixture and 100B of its second's (2.3.2). Judge it after that stage (`cpt`), or let new "
    "layers change nothing at first (`start: identity`)."
)
WIDTH = (
    "A pruned model is worse at first, and healed by distillation from the model before all pruning (`distill` with "
    "`loss: forward_kl`; Kanana 2.3.3). Judge it after that stage. Smaller cuts lose less: at most half at once, and "
    "heads and hidden channels rather kept than the MLP (Kanana, table 16)."
)
OF_KIND = {
    "cpt": REPLAY,
    "merge": MERGE,
    "sft": SFT,
    "dpo": PREFERENCES,
    "online_dpo": PREFERENCES,
    "distill": DISTILLATION,
    "upscale": DEPTH,
    "prune": WIDTH,
}
"""For losses and accuracies, by the kind of the stage."""
OTHERS = {
    "length_bias": (
        "Reward that pays for length (a reading of DNA 1.0: reward up, people's judgement down). Keep the reference"
        " fixed at the model of offline DPO: with one that follows the policy, answers grew longer (Kanana, section"
        " 3; without `refresh_reference`). Offline: a loss per token (`sigmoid_norm`), or `length_desensitization` "
        "below 1 (LD-DPO). Or pairs whose chosen answers are no longer than the rejected ones, and a reward model "
        "trained on those."
    ),
    "reward_drift": (
        "The policy has left what the reward model was trained on, so its rewards may mean little. Train the reward"
        " model again with pairs of this policy's answers, and choose among several by what they pick (`best_of_n`;"
        " Kanana, section 3); take fewer `steps`, or a greater `beta`. Kanana holds the reference fixed through all"
        " iterations."
    ),
    "reward_accuracy": (
        "Below 50% `chosen` and `rejected` may be the wrong way round. Else more or cleaner pairs, or another model"
        " to begin with: Kanana's starts from the SFT model and adds public preference data. Accuracy is not all: "
        "Kanana chooses reward models by what the best of N answers that they pick is worth (`best_of_n`)."
    ),
    "retrieval": (
        "More pairs, more of them in a step (`batch`), and texts that nearly answer (`negative`) teach most; then "
        "`mntp` before, so that the model has learnt to look both ways. LLM2Vec's supervised stage has 64 per step, "
        "a learning rate of 2e-4 after 300 steps of warm-up, 1000 steps, LoRA of rank 16. Look at the questions of a "
        "domain on the page: what they ask for and what was trained on may be of different kinds."
    ),
    "needle": (
        "Where sentences are lost at some lengths only, RoPE is the first suspect (a reading of DNA 1.0, whose grid "
        "holds up to the 32K that were tested): train on at that length (`context`, with `balance_lengths`), with a "
        "greater `rope_theta` or YaRN; where they are lost at all lengths, look at the answers on the page: a model "
        "that does not answer the question has not forgotten where the sentence stood."
    ),
    "plateau": (
        "A flat loss with a gap to the teacher points to the student's capacity (a reading of DNA 1.0). Take a "
        "larger student, or a smaller step: Kanana prunes by half at most, each time from the model before, and "
        "keeps 87 to 99% of KMMLU at each. For small students data matters: more general English took Kanana's 1.3B"
        " from 32.39 to 36.41 on average (table 18)."
    ),
}
"""For the other gates."""


def advice(gate: TrainingGate, kind: str) -> str:
    """What to try where a gate failed after a stage of a kind."""
    if isinstance(gate, LossGate):
        return OF_KIND.get(kind, REPLAY)
    if isinstance(gate, AccuracyGate | ScoreGate):
        return f"{TOO_KOREAN} {OF_KIND[kind]}" if kind in ("cpt", "merge") else OF_KIND.get(kind, REPLAY)
    return OTHERS["plateau" if isinstance(gate, PlateauGate) else gate.gate]
