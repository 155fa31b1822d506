import pytest

from tests.training import tiny
from training.pretraining.utilization import flops_per_token, peak_flops


def test_peaks_by_name() -> None:
    assert peak_flops("NVIDIA H200") == peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_flops("NVIDIA H100 PCIe") == 756e12
    assert peak_flops("NVIDIA A100-SXM4-80GB") == 312e12
    assert peak_flops("NVIDIA L40S") == 362e12
    assert peak_flops("NVIDIA L4") == 121e12
    assert peak_flops("NVIDIA GeForce RTX 4090") == 165e12
    assert peak_flops("Tesla V100-SXM2-16GB") is None


def test_a_token_of_a_llama() -> None:
    """1B weights, 16 layers of 32 heads of 64, 8192 tokens: 6e9, and 6 * 16 * 2048 * 8192 for attention."""
    config = tiny.config(
        num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8, head_dim=64, hidden_size=2048
    )
    assert flops_per_token(10**9, config, 8192) == pytest.approx(6e9 + 1.610612736e9)
