"""The tokens of a formula, read one after another, and the grammar rules that parts of the parser ask for."""

from abc import ABC, abstractmethod
from typing import Any

from tasks.answer.errors import Unreadable
from tasks.answer.vocabulary import tokens


class Reader(ABC):
    """Reads a formula's tokens; `tasks.answer.expression` has the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0

    @property
    def next(self) -> str:
        """The next token, "" at the end."""
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        """The next token, which is then behind the reader."""
        token = self.next
        self.at += 1
        return token

    def took(self, *wanted: str) -> bool:
        """Whether the next token is one of these; it is then taken."""
        if self.next not in wanted or not self.next:
            return False
        self.at += 1
        return True

    def expect(self, token: str) -> None:
        """Take a token.

        Raises:
            Unreadable: another one comes.
        """
        if not self.took(token):
            raise Unreadable(f"{token} is missing in {self.text[:60]}")

    def group_text(self) -> str:
        """Take a group in braces; returns its text."""
        start, depth = self.at, 0
        while self.next:
            depth += (self.next == "{") - (self.next == "}")
            self.take()
            if depth == 0:
                return "".join(self.tokens[start + 1 : self.at - 1])
        raise Unreadable(f"}} is missing in {self.text[:60]}")

    def part_number(self) -> None:
        """Split a next token with commas (`12,144`): among arguments a comma separates two of them."""
        if "," in self.next and self.next != ",":
            first, *rest = self.next.split(",")
            self.tokens[self.at : self.at + 1] = [first, *(part for number in rest for part in (",", number))]

    @abstractmethod
    def sum(self) -> Any:
        """The value of terms between plus and minus signs."""

    @abstractmethod
    def term(self) -> Any:
        """The value of factors with multiplication, division or nothing between them."""

    @abstractmethod
    def atom(self) -> tuple[Any, bool]:
        """The value of one factor, and whether it is a function with its argument in brackets."""

    @abstractmethod
    def argument(self) -> Any:
        """The value of what a command takes: a group in braces, or one digit, letter or command, as TeX reads it."""
