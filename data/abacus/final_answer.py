"""How an abacus response ends, and whether it is right: a plain comparison, for training the bundled models only."""

MARK = "Final answer: "


def is_right(response: str, gold: str) -> bool:
    """Whether the text after the last final-answer mark is the gold answer."""
    return response.rpartition(MARK)[2].strip() == gold and MARK in response
