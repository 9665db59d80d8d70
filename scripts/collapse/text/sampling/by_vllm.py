"""Sampling by vLLM, in this process, with a seed for each request."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from collapse.text.sampling.interface import Backend, Decoding, Sample, one_line, unnoticed

#: Variables that vLLM reads when it is imported. Without a process of its own it starts in
#: seconds instead of a minute.
_VLLM = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}

#: Further variables without a GPU: two threads were ten times slower than one whenever anything
#: else ran beside them. The size of the cache of keys and values is in GiB.
_VLLM_CPU = {
    "OMP_NUM_THREADS": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
}

#: Share of a GPU's memory that vLLM takes.
_GPU_MEMORY = 0.9


class _Counter(tqdm):  # type: ignore[misc]
    """In place of the bar that vLLM would show: it shows nothing, but passes on what is done."""

    def __init__(self, *given: Any, drawn: Callable[[int], None], **options: Any) -> None:
        self._drawn = drawn
        super().__init__(*given, **{**options, "file": io.StringIO(), "disable": False})

    def update(self, n: float | None = 1) -> bool | None:
        """Count requests that are done."""
        self._drawn(int(n or 0))
        return super().update(n)


@contextmanager
def opened(model: Path, decoding: Decoding, batch: int) -> Iterator[Backend]:
    """Open a checkpoint with vLLM; see `collapse.text.sampling.opened`."""
    import torch

    gpu = torch.cuda.is_available()
    for variable, value in {**_VLLM, **({} if gpu else _VLLM_CPU)}.items():
        os.environ.setdefault(variable, value)
    # On a CPU vLLM replaces this function and does not restore it.
    threads, set_num_threads = torch.get_num_threads(), torch.set_num_threads
    if not gpu:  # torch is imported already, and no longer reads the variable
        set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    engine: Any = None
    try:
        with one_line(f"{model}: vLLM cannot start"):
            import vllm

            engine = vllm.LLM(
                model=str(model),
                skip_tokenizer_init=True,
                generation_config="vllm",  # not the checkpoint's own
                dtype="auto" if gpu else "float32",
                enforce_eager=not gpu,
                max_model_len=decoding.max_tokens + 1,
                max_num_seqs=batch,
                gpu_memory_utilization=_GPU_MEMORY,
                distributed_executor_backend="uni",
                enable_prefix_caching=False,  # rounding must not depend on other samples
                load_format="safetensors",
                use_tqdm_on_load=False,
                seed=0,
            )

        def request(prompt: Sequence[int], seed: int) -> Any:
            return vllm.SamplingParams(
                temperature=decoding.temperature,
                top_k=decoding.top_k or 0,
                top_p=1.0 if decoding.top_p is None else decoding.top_p,
                seed=seed % 2**32,
                max_tokens=decoding.max_tokens - len(prompt),
                stop_token_ids=None if decoding.ignore_end else [decoding.end],
                ignore_eos=True,  # the checkpoint's; ours is in stop_token_ids
                detokenize=False,
            )

        def generate(
            prompts: Sequence[Sequence[int]],
            seeds: Sequence[int],
            drawn: Callable[[int], None] = unnoticed,
        ) -> list[Sample]:
            given = [{"prompt_token_ids": [decoding.begin, *prompt]} for prompt in prompts]
            requests = [request(*each) for each in zip(prompts, seeds, strict=True)]
            outputs = engine.generate(given, requests, use_tqdm=partial(_Counter, drawn=drawn))
            samples = []
            for prompt, output in zip(prompts, outputs, strict=True):
                found = output.outputs[0]
                ended = found.finish_reason == "stop"
                tokens = [*prompt, *found.token_ids]
                samples.append(Sample(np.array(tokens[:-1] if ended else tokens, np.int32), ended))
            return samples

        yield generate
    finally:
        if engine is not None:
            engine.llm_engine.engine_core.shutdown()
        del engine
        torch.set_num_threads = set_num_threads
        set_num_threads(threads)
        gc.collect()
        if "vllm.distributed" in sys.modules:  # the import may have failed
            from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

            cleanup_dist_env_and_memory()
