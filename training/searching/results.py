"""What a search came to: `search/results.json`, which the command prints and the page shows."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A part of the results."""

    model_config = ConfigDict(frozen=True)


class ProxyResult(Frozen):
    """A small model: a line of `proxies.jsonl`."""

    name: str
    """Its number, or of those that regressions are not fitted to: `natural`, `uniform`, `best`."""
    key: str
    """Of all that it depends on."""
    weights: list[float]
    """In the order of the sources."""
    losses: dict[str, float]
    """By target: bits per byte."""
    final_loss: float
    """Mean of the training's last tenth of the steps, in nats per token."""
    n_tokens: int
    seconds: float


class SourceWeight(Frozen):
    """A source in the mixture that was found."""

    name: str
    category: str
    natural: float
    """Its share of the tokens that there are."""
    weight: float
    low: float
    high: float
    """Bounds of the interval of its best weight, 95%, by a bootstrap over models."""
    optimum: float
    """Its best weight by the regressions, also where it is more than any model was trained on."""
    unlimited: float
    """The weight that would be best if there were as much of each source as one likes."""
    n_tokens: int
    """That it has, in one epoch, without what is held out."""
    epochs_max: float
    epochs: float | None = None
    """How often it is gone through, with the manifest's budget; None where the manifest states none."""
    epochs_unlimited: float | None = None
    """The same with the unlimited weight."""
    seen_low: float
    seen_high: float
    """Its least and greatest weight in the mixtures that models were trained on."""
    proxy_epochs: float
    """How often a model went through what there is of it, at most: what is repeated counts as less than new text."""


class RegressionScore(Frozen):
    """How well a regression foretells mixtures that it was not fitted to."""

    name: str
    rmse: float
    """Of the logarithm of the loss."""
    r2: float
    spearman: float


class TargetResult(Frozen):
    """A target and its regression."""

    name: str
    weight: float
    """How much it counts; all add up to 1."""
    n_documents: int
    n_all_documents: int
    n_bytes: int
    regression: str
    scores: list[RegressionScore]
    real: list[float]
    """Bits per byte of the models that the regression was fitted to, in their order."""
    foretold: list[float]
    """The same by regressions that left each out."""


class Check(Frozen):
    """A model that no regression was fitted to."""

    name: str
    weights: list[float]
    predicted: dict[str, float]
    """By target: bits per byte."""
    low: dict[str, float]
    high: dict[str, float]
    """Where 95% of such models are to lie; of `best` only."""
    real: dict[str, float]
    predicted_mean: float
    real_mean: float
    """Weighted geometric mean over the targets: what is lowered."""


class Course(Frozen):
    """How the mean loss goes with the weight of one source, the others sharing the rest as in the best mixture."""

    source: str
    weights: list[float]
    predicted: list[float]


class SearchResults(Frozen):
    """All that a search found."""

    name: str
    onggi_version: str
    created: str
    seed: int
    n_proxies: int
    n_resumed: int
    """Models that an earlier run of the command had trained."""
    n_ids: int
    """Vocabulary of the models."""
    n_parameters: int
    n_proxy_tokens: int
    tokens_per_second: float
    """Of one model on one thread."""
    seconds: float
    sources: list[SourceWeight]
    targets: list[TargetResult]
    checks: list[Check]
    courses: list[Course]
    budget_tokens: int | None
    without_tokens: list[str] = []
    """Sources for want of whose `tokens` those of the others are no budget."""
    fits_tokens: int
    """The most tokens of this mixture that the sources have."""
    words: list[str]
    """What the figures say."""

    @property
    def weights(self) -> dict[str, float]:
        """The mixture, by source."""
        return {source.name: source.weight for source in self.sources}
