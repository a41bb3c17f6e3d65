"""A response that is verified and scored, in one row."""

from typing import Any


def response(id: str, sample: int, text: str, verdict: str, **other: Any) -> dict[str, Any]:
    known = {"finish": "stop", "prompt_tokens": 4, "tokens": len(text.split()), "nll": 1.0, "perplexity": 2.0 + sample}
    return {"id": id, "sample": sample, "question": id, "response": text, "verdict": verdict, **known, **other}
