"""How far two responses are apart."""


def edit_distance(one: str, two: str) -> int:
    """The Levenshtein distance: characters to insert, delete or replace."""
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance(one, two)
