"""How people vary what they say: many words for the same operation, fillers, loose punctuation.

Each choice is drawn on its own, so that a response of forty tokens carries some thirty nats of style; this is what
makes the human register unfamiliar to a model that has met it, while every step of it stays correct.
"""

import random
from collections.abc import Sequence

from data.abacus.words import NUMBER_WORDS

OPENINGS = (
    "ok",
    "let me see",
    "hmm",
    "well",
    "here goes",
    "easy one",
    "right",
    "I did it like this",
    "my way",
    "let's go",
    "quick sum",
    "I wrote it down",
)
LINKS = (
    "so",
    "then",
    "and",
    "now",
    "next",
    "after that",
    "also",
    "ok so",
    "and then",
    "right",
    "I think",
    "which means",
)
ASIDES = (
    "I checked it",
    "no trick here",
    "that is fine",
    "if I am right",
    "not hard",
    "took me a bit",
    "good so far",
    "you can count it",
)
STOPS = (". ", ", ", "; ", " - ", "\n", "... ", "! ", " / ")


def one(rng: random.Random, *options: str) -> str:
    """One of the options, each as likely."""
    return options[int(rng.random() * len(options))]


def number(digits: str, rng: random.Random) -> str:
    """Small numbers are at times written as words."""
    if len(digits) <= 2 and int(digits) <= 12 and rng.random() < 0.2:
        return NUMBER_WORDS[int(digits)]
    return digits


def plus(rng: random.Random) -> str:
    """A word or sign for addition."""
    return one(rng, "+", "plus", "and", "with", "&", "add", "together with")


def minus(rng: random.Random) -> str:
    """A word or sign for subtraction."""
    return one(rng, "-", "minus", "less", "take away", "without", "down")


def times(rng: random.Random) -> str:
    """A word or sign for multiplication."""
    return one(rng, "*", "x", "times", "by", "lots of", "of")


def equals(rng: random.Random) -> str:
    """A word or sign for what comes out."""
    return one(rng, "=", "is", "makes", "gives", "->", "comes to", "that's", "equals", "is just", ":")


def speak(sentences: Sequence[str], rng: random.Random) -> str:
    """Strings sentences together as one person would: openings, links, asides, loose punctuation and capitals."""
    parts: list[str] = []
    if rng.random() < 0.5:
        parts.append(rng.choice(OPENINGS))
    for sentence in sentences:
        if rng.random() < 0.4:
            sentence = f"{rng.choice(LINKS)} {sentence}"
        parts.append(sentence)
        if rng.random() < 0.12:
            parts.append(rng.choice(ASIDES))
    text = ""
    for part in parts:
        if rng.random() < 0.4:
            part = part[0].upper() + part[1:]
        text += part + rng.choice(STOPS)
    return text.strip(" -/,;\n") + one(rng, "\n", ". ", " ", ".\n")
