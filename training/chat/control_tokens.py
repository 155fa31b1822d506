"""Control tokens that a chat template writes and a base model does not know: added, and given rows of embeddings.

A template whose control tokens were ordinary text could be imitated by what a user pastes, and no single token would
end a turn; so they are added rather than put up with. A new row is the mean of the rows of all tokens: in the output
it is then about as likely as any other token, and no norm is out of the ordinary (Hewitt, 2021). All new rows are
equal at first; their gradients are not.
"""

from typing import Any

from jinja2 import TemplateError
from transformers import AddedToken

from manifests.errors import RequestError
from training.chat.template import control_tokens_of


def add_missing(tokenizer: Any, source: str) -> list[str]:
    """Add the control tokens of a template's source that the tokenizer does not have; which ones.

    Raises:
        RequestError: the template is no Jinja.
    """
    try:
        missing = [token for token in control_tokens_of(source) if not _is_one(tokenizer, token)]
    except TemplateError as error:
        raise RequestError(f"template: is no Jinja: {error}") from error
    tokenizer.add_tokens(
        [AddedToken(token, special=True, normalized=False) for token in missing], special_tokens=True
    )
    return missing


def _is_one(tokenizer: Any, token: str) -> bool:
    """Whether a text is one token, and nothing but a token."""
    number = tokenizer.get_vocab().get(token)
    return number is not None and tokenizer.encode(token, add_special_tokens=False) == [number]


def fit_embeddings(model: Any, tokenizer: Any, added: list[str]) -> None:
    """Give each added token its rows in the input and output embeddings.

    Raises:
        RequestError: the model has no rows to spare and cannot be given any.
    """
    if not added:
        return
    ids = tokenizer.convert_tokens_to_ids(added)
    n_rows, first_new = model.get_input_embeddings().weight.shape[0], min(ids)
    if max(ids) >= n_rows:
        try:
            model.resize_token_embeddings(max(ids) + 1, mean_resizing=False)
        except (NotImplementedError, ValueError) as error:
            raise RequestError(f"template: {', '.join(added)} cannot be added to this model: {error}") from error
    _set_rows(model.get_input_embeddings().weight, ids, first_new)
    output = model.get_output_embeddings()
    if output is not None and output.weight is not model.get_input_embeddings().weight:
        _set_rows(output.weight, ids, first_new)


def _set_rows(weight: Any, ids: list[int], n_old: int) -> None:
    """The mean of the old rows, summed in float64, so that it does not depend on how many threads sum it."""
    import torch

    with torch.no_grad():
        old = weight[: min(ids[0], n_old)]
        weight[ids] = old.double().mean(0).to(weight.dtype)


def end_turns_with(tokenizer: Any, end: str) -> list[int]:
    """Make a token the tokenizer's end of sequence; at which tokens answers end from now on, that one first."""
    before = tokenizer.eos_token_id
    tokenizer.eos_token = end
    return [one for one in dict.fromkeys([tokenizer.eos_token_id, before]) if one is not None]


def end_answers_at(model: Any, ids: list[int]) -> None:
    """Let a model stop at tokens, the first of which ends a turn; and where it stopped so far."""
    known = model.generation_config.eos_token_id
    ends = list(dict.fromkeys([*ids, *(known if isinstance(known, list | tuple) else [known])]))
    model.config.eos_token_id = ids[0]
    model.generation_config.eos_token_id = [one for one in ends if one is not None]
