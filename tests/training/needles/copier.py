"""A Llama of two layers, set by hand, that copies: it goes on as the text went on where its last tokens stood before.

An induction head (Elhage et al. 2021, "A mathematical framework for transformer circuits"; Olsson et al. 2022) that
compares more than one token. Each token has a code of signs. In the first layer, head j looks j + 1 tokens back, by
RoPE alone: its query is turned by so many steps, so that the product with the constant key is greatest there. It
writes the code that it finds into a slot of its own. In the second layer one head compares the codes of the last
tokens with those that stand before each token, and so finds the place where most of them are equal; it takes the code
of the token there, and the output layer says which token that is. Codes are compared in those dimensions that RoPE
hardly turns.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

N_BACK = 10
"""Tokens that are compared."""
N_SIGNS = 24
"""Of a code."""
CONSTANT = 4.0
"""What a dimension of each token holds, for queries and keys that do not depend on it."""
THETA = 1e38
"""RoPE's: the first pairs turn by up to 1 a token, all from SLOW on by less than a millionth."""
SLOW = 23
N_PAIRS = SLOW + N_BACK * N_SIGNS // 2 + 1
HEAD = 2 * N_PAIRS
WIDTH = -(-(1 + N_SIGNS * (N_BACK + 2)) // N_BACK) * N_BACK
"""The constant, the token's code, those of the tokens before, what is said next; a multiple of the heads, as Llama
wants it."""
N_TURNING = 10
"""Pairs that tell places apart."""
SHARPNESS = 200.0
"""Of attention: what separates the best place from the next one in the exponent, about."""


def save_copier(folder: Path, texts: Iterable[str], n_window: int, vocabulary: int = 3000) -> Path:
    """A folder with the model and a byte-level BPE tokenizer made of these texts."""
    tokenizer = _tokenizer(texts, vocabulary)
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=1,
        num_hidden_layers=2,
        num_attention_heads=N_BACK,
        num_key_value_heads=1,
        head_dim=HEAD,
        max_position_embeddings=n_window,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
        rms_norm_eps=1e-12,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
        _set(model, len(tokenizer))
    model.save_pretrained(folder)
    return folder


def _set(model: LlamaForCausalLM, n_tokens: int) -> None:
    codes = _codes(n_tokens)
    model.model.embed_tokens.weight[:, 0] = CONSTANT
    model.model.embed_tokens.weight[:, 1 : 1 + N_SIGNS] = codes
    first, second = model.model.layers
    for norm in (first.input_layernorm, second.input_layernorm, model.model.norm):
        norm.weight.fill_(1.0)
    for layer in (first, second):
        layer.post_attention_layernorm.weight.fill_(1.0)
    _look_back(first.self_attn)
    _look_up(second.self_attn)
    model.lm_head.weight[:, _slot(N_BACK + 1)] = codes


def _slot(number: int) -> slice:
    """Dimensions of the code of the token so far back; the last one is of what is said next."""
    return slice(1 + number * N_SIGNS, 1 + (number + 1) * N_SIGNS)


def _codes(n: int) -> torch.Tensor:
    """Different codes: (n, N_SIGNS) of -1 and 1."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randperm(1 << N_SIGNS, generator=generator)[:n]
    return ((numbers[:, None] >> torch.arange(N_SIGNS)) & 1) * 2.0 - 1


def _scale(n_codes: int) -> float:
    """By what RMSNorm multiplies a token's state that holds so many codes."""
    return float((WIDTH / (CONSTANT**2 + N_SIGNS * n_codes)) ** 0.5)


def _look_back(attention: torch.nn.Module) -> None:
    scale = _scale(1)
    turns = THETA ** -(torch.arange(N_TURNING, dtype=torch.float64) / N_PAIRS)
    strength = SHARPNESS * HEAD**0.5 / (1 - turns.cos()).sum() / (CONSTANT * scale) ** 2
    attention.k_proj.weight[:N_TURNING, 0] = 1.0
    for j in range(N_BACK):
        query = attention.q_proj.weight[j * HEAD : (j + 1) * HEAD]
        query[:N_TURNING, 0] = (strength * (turns * (j + 1)).cos()).float()
        query[N_PAIRS : N_PAIRS + N_TURNING, 0] = (-strength * (turns * (j + 1)).sin()).float()
        attention.o_proj.weight[_slot(j + 1), j * HEAD : j * HEAD + N_SIGNS] = torch.eye(N_SIGNS)
    attention.v_proj.weight[:N_SIGNS, _slot(0)] = torch.eye(N_SIGNS) / scale


def _look_up(attention: torch.nn.Module) -> None:
    scale = _scale(N_BACK + 1)
    strength = SHARPNESS * HEAD**0.5 / scale**2
    for j in range(N_BACK):
        for half in range(2):
            at = SLOW + j * N_SIGNS // 2 + half * N_PAIRS
            here, part = slice(at, at + N_SIGNS // 2), slice(half * N_SIGNS // 2, (half + 1) * N_SIGNS // 2)
            unit = torch.eye(N_SIGNS)[part]
            attention.q_proj.weight[here, _slot(j)] = strength * unit
            attention.k_proj.weight[here, _slot(j + 1)] = unit
    attention.v_proj.weight[:N_SIGNS, _slot(0)] = torch.eye(N_SIGNS) / scale
    attention.o_proj.weight[_slot(N_BACK + 1), :N_SIGNS] = torch.eye(N_SIGNS)


def _tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|pad|>", "<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|endoftext|>",
        pad_token="<|pad|>",
        clean_up_tokenization_spaces=False,
    )
