"""The engine's own process: one vLLM engine, driven by lines of JSON on standard input and output.

vLLM runs inside this process without helper processes of its own: it starts in a third of the time, takes half the
memory, is a third faster on a CPU, and dies with this one process. This process ends at once when its standard input
does, which is also how it learns of a parent that was killed.

In:   settings, then {"add": [[number, prompt ids, sampling, adapter or null], …]} and {"abort": [number, …]}
Out:  {"ready": {"context": tokens, "dtype": name}}, or {"failed": why, "memory": bool} when it cannot start; then
      {"done": [[number, [[ids, finish], …], log-probabilities or null], …]} and {"refused": [[number, why], …]}
"""

import gc
import json
import os
import queue
import shutil
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, BinaryIO

Message = dict[str, Any]


class VllmEngine:
    """A vLLM engine with its adapters and unfinished requests."""

    def __init__(self, settings: Message) -> None:
        from vllm.engine.arg_utils import EngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.llm_engine import LLMEngine

        options: Message = {}
        if current_platform.is_cpu():
            # With chunked prompts and per-request seeds vLLM 0.32 fails on a CPU ("CPU Generator does not use offset").
            options |= {
                "dtype": "float32",
                "enforce_eager": True,
                "enable_chunked_prefill": False,
                "kv_cache_memory_bytes": int(settings["kv_cache_gib"] * 2**30),
            }
            stacked = classmethod(lambda cls: "tasks.engine.adapters.StackedAdapters")
            setattr(type(current_platform), "get_punica_wrapper", stacked)  # noqa: B010  mypy knows it as a method
        else:
            options |= {"dtype": "auto", "gpu_memory_utilization": settings["gpu_memory"]}
        if settings["rank"]:
            options |= {"enable_lora": True, "max_lora_rank": settings["rank"], "max_loras": 8, "max_cpu_loras": 64}
        self._engine = LLMEngine.from_engine_args(
            EngineArgs(
                model=settings["model"],
                revision=settings["revision"] or None,
                trust_remote_code=settings["remote_code"],
                load_format="safetensors",
                skip_tokenizer_init=True,
                generation_config="vllm",
                max_model_len=-1,
                max_num_seqs=settings["together"],
                disable_log_stats=True,
                **options,
            )
        )
        self.context: int = self._engine.model_config.max_model_len
        self.dtype: str = str(self._engine.model_config.dtype).removeprefix("torch.")
        self._adapters: dict[tuple[str, int], Any] = {}
        self._salt = 0

    @property
    def busy(self) -> bool:
        return bool(self._engine.has_unfinished_requests())

    def add(self, number: int, prompt: list[int], sampling: Message, adapter: str | None) -> None:
        """Queue a request.

        Raises:
            ValueError and others: vLLM refuses the prompt, the sampling values or the adapter.
        """
        from vllm import SamplingParams
        from vllm.inputs.engine import tokens_input
        from vllm.sampling_params import RequestOutputKind

        # The renderer's stop tokens are the only ones: vLLM's idea of end-of-sequence is switched off.
        parameters = SamplingParams(
            **sampling, ignore_eos=True, detokenize=False, output_kind=RequestOutputKind.FINAL_ONLY
        )
        salt = None
        if "prompt_logprobs" in sampling:
            # A prompt found in the prefix cache is not computed again, and would have no log-probabilities.
            self._salt += 1
            salt = f"log-probabilities {self._salt}"
        self._engine.add_request(
            str(number),
            tokens_input(prompt, cache_salt=salt),
            parameters,
            lora_request=self._adapter(adapter) if adapter else None,
        )

    def _adapter(self, folder: str) -> Any:
        """The adapter under a number of its own: vLLM knows adapters, and their cached prompts, by number and name."""
        from vllm.lora.request import LoRARequest

        changed = (Path(folder) / "adapter_model.safetensors").stat().st_mtime_ns
        adapter = self._adapters.get((folder, changed))
        if adapter is None:
            number = len(self._adapters) + 1
            adapter = LoRARequest(lora_name=f"{number} {folder}", lora_int_id=number, lora_path=folder)
            self._engine.add_lora(adapter)
            self._adapters[(folder, changed)] = adapter
        return adapter

    def abort(self, numbers: list[int]) -> None:
        self._engine.abort_request([str(number) for number in numbers])

    def step(self) -> list[list[Any]]:
        """Compute one token of every running request. Returns the finished ones."""
        outputs: list[Any] = self._engine.step()
        return [
            [
                int(output.request_id),
                [[list(one.token_ids), one.finish_reason] for one in output.outputs],
                _prompt_log_probabilities(output),
            ]
            for output in outputs
            if output.finished
        ]


def _prompt_log_probabilities(output: Any) -> list[float] | None:
    """Log-probability of each prompt token but the first."""
    if output.prompt_logprobs is None:
        return None
    tokens = zip(output.prompt_token_ids[1:], output.prompt_logprobs[1:], strict=True)
    return [candidates[token].logprob for token, candidates in tokens]


def _read(lines: BinaryIO, inbox: "queue.SimpleQueue[Message]", scratch: str) -> None:
    """Queue messages until the parent closes its end; then remove the temporary files and exit."""
    for line in lines:
        inbox.put(json.loads(line))
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(0)


def _serve(settings: Message, inbox: "queue.SimpleQueue[Message]", replies: BinaryIO) -> None:
    def reply(message: Message) -> None:
        replies.write(json.dumps(message).encode() + b"\n")
        replies.flush()

    gc.disable()  # what is imported stays: looking through it again and again takes a good part of the start
    try:
        engine = VllmEngine(settings)
    except Exception as error:
        why = " ".join(str(error).split())
        reply({"failed": f"{type(error).__name__}: {why[:500]}", "memory": "memory" in why.lower()})
        raise
    gc.freeze()
    gc.enable()
    reply({"ready": {"context": engine.context, "dtype": engine.dtype}})
    while True:
        messages = [] if engine.busy else [inbox.get()]
        while not inbox.empty():
            messages.append(inbox.get())
        refused = []
        for message in messages:
            for number, *request in message.get("add", []):
                try:
                    engine.add(number, *request)
                except Exception as error:
                    refused.append([number, f"{type(error).__name__}: {error}"])
            if "abort" in message:
                engine.abort(message["abort"])
        if refused:
            reply({"refused": refused})
        if engine.busy and (done := engine.step()):
            reply({"done": done})


def main() -> None:
    """Serve until standard input ends."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with the replies
    settings = json.loads(sys.stdin.buffer.readline())
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, inbox, settings["scratch"]), daemon=True).start()
    try:
        _serve(settings, inbox, replies)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # an orderly end would wait for the thread that reads standard input


if __name__ == "__main__":
    main()
