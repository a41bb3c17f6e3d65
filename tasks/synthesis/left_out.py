"""How many texts were left out for which reason, said in words."""

from collections.abc import Mapping


def left_out_in_words(left_out: Mapping[str, int], reasons: Mapping[str, str]) -> str:
    """How many were left out for each reason, in the order of the reasons; "none" where none were."""
    return ", ".join(f"{left_out[name]:,} {words}" for name, words in reasons.items() if left_out.get(name)) or "none"
