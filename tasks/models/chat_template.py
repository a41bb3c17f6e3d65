"""What a chat template makes of a question and a response, as text.

A finished turn is a prompt, a response and the end of the turn. Generation starts from the template's generation
prompt, which need not be how its finished turns begin: the generation prompt of a model that thinks may open a block of
thoughts, or its finished turns may begin with an empty one, or name a channel. What is trained and scored has to be
both what the template makes of a finished turn and what follows the prompt that the model answers, so:

- Where finished turns begin with the generation prompt (blanks aside), that is the prompt.
- A template that ignores `add_generation_prompt`, or whose generation prompt differs in nothing that has to do with
  thinking: the prompt is all that stands before a finished response.
- Where they differ in thinking, nothing is trained or scored before it is chosen (`thinking`):
    - off: the template is asked for a prompt without thinking; the prompt is what it gives, or else all that stands
      before a finished response. Thoughts in a response are left out, as templates do with those of a finished turn.
    - on: the prompt is the template's generation prompt, and thoughts are part of the response. An empty block of them
      comes before a response that has none.
"""

import functools
import re
from contextlib import suppress
from datetime import datetime
from typing import Any

from data.errors import InputError
from tasks.resources.errors import StageFailed

QUESTION = "Hello"
MARKER = "Zebra quartz 7"
"""A response that shows what a template puts around one; ends in no letter a tokenizer merges with `<` or a space."""
TODAY = datetime(2024, 7, 26)
"""The day for templates that print one: a prompt must not change overnight. (Llama 3's own default.)"""
PLAIN = "{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'user' %}{{ '\\n' }}{% endif %}{% endfor %}"
"""For a model without a chat template: a new line ends the prompt."""
SWITCHES = ("enable_thinking", "thinking", "reasoning")
"""What templates call the variable that turns thinking on or off."""
ABOUT_THINKING = re.compile("think|thought|reason|channel", re.IGNORECASE)
WORTH_A_LOOK = re.compile(rf"{ABOUT_THINKING.pattern}|strftime_now|date_string", re.IGNORECASE)
"""In a template of which something has to be chosen or said."""
XML_MARK = re.compile(r"</?([\w:]*(?:think|thought|reason)[\w:]*)>", re.IGNORECASE)
OTHER_MARKS = (
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel>", "<channel|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
)
SHOWN = 44
"""Characters of a prompt's end that a message shows."""


class ChatTemplate:
    """The chat template of one model. Safe to use from several threads."""

    tail: str
    """What follows a finished response."""
    marks: tuple[str, str] | None
    """How thoughts begin and end; None where the template knows of none."""
    lead: str
    """What comes between the prompt and a response without thoughts: blanks, or an empty block of thoughts."""
    unsettled: str
    """Why no response can be rendered: what must be chosen before, in one line; empty where nothing must be."""
    notes: tuple[str, ...]
    """What a user should know of this rendering, a line each."""

    def __init__(self, name: str, tokenizer: Any, thinking: bool | None = None) -> None:
        """Look at how the template renders a turn.

        Args:
            name: of the model, for messages.
            tokenizer: the model's.
            thinking: whether the model thinks before it answers; None leaves that to the template.

        Raises:
            StageFailed: the template does not render a user's turn and an assistant's.
        """
        self._name, self._tokenizer, self._thinking = name, tokenizer, thinking
        self.prompt = functools.lru_cache(maxsize=4096)(self._prompt)
        """The text that a response to a question follows."""
        try:
            self.source: str = tokenizer.get_chat_template() if tokenizer.chat_template is not None else PLAIN
        except ValueError as error:  # several by name, and none of them is the default
            raise StageFailed(f"the chat template of {name} cannot be used: {error}") from error
        self._switches = {} if thinking is None else dict.fromkeys(SWITCHES, thinking)
        asked = self.turns(QUESTION, generation_prompt=True)
        head, found, self.tail = self.turns(QUESTION, MARKER).rpartition(MARKER)
        if not found:
            raise StageFailed(f"the chat template of {name} drops the assistant's turn")
        self.marks = _marks(self.source + asked + head)
        self._follows_finished = False
        self._block_in_prompt = self._own_lead = self.lead = ""
        self.notes = ()
        self.unsettled = self._settle(asked, head)
        prompt = self.prompt(QUESTION)
        self._opened = prompt[prompt.rindex(self.marks[0]) :] if self.marks and self._open(prompt) else ""
        closed = bool(self.marks and not self._opened and self.marks[1] in prompt.rpartition(QUESTION)[2])
        self._answers_only = closed or (thinking is False and self.marks is not None)
        if not self.unsettled:
            self.lead = self.response(QUESTION, MARKER).rpartition(MARKER)[0]
            if self.marks and thinking is not None:
                self.notes += (f"{name}: {self._chosen()}",)
        if "strftime_now" in self.source or "date_string" in self.source:
            self.notes += (f"{name}: its chat template prints a date, which is {TODAY:%d %b %Y} on every day",)

    def turns(self, *turns: str, generation_prompt: bool = False) -> str:
        """The template's text for turns of user, assistant, user, …

        Raises:
            StageFailed: it does not take them.
        """
        messages = [
            {"role": "assistant" if index % 2 else "user", "content": content} for index, content in enumerate(turns)
        ]
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    messages,
                    chat_template=self.source,
                    tokenize=False,
                    add_generation_prompt=generation_prompt,
                    date_string=f"{TODAY:%d %b %Y}",
                    strftime_now=TODAY.strftime,
                    **self._switches,
                )
            )
        except Exception as error:  # a template is a program of somebody else's, which may raise anything
            why = " ".join(str(error).split()) or type(error).__name__
            raise StageFailed(f"the chat template of {self._name} does not take these turns: {why}") from error

    def _prompt(self, question: str) -> str:
        if self._follows_finished:
            return self.turns(question, MARKER).rpartition(MARKER)[0]
        return self.turns(question, generation_prompt=True)

    def response(self, question: str, text: str) -> str:
        """What follows the prompt up to the end of the turn: the response as a finished turn has it.

        Raises:
            InputError: it must be chosen first how (`unsettled`), or the template renders these two in another way
                than others.
        """
        if self.unsettled:
            raise InputError(self.unsettled)
        opening, closing = self.marks or ("", "")
        thinks, thought = bool(self.marks) and opening in text, bool(self.marks) and closing in text
        if thought and self._answers_only:
            text, thinks, thought = text.rpartition(closing)[2].lstrip("\n"), False, False
        if thinks and not thought and (self._thinking or self._answers_only):
            return self._inside(text) if self._thinking else self.lead + text
        whole = self.turns(question, text)
        start = self.prompt(question).removesuffix(self._block_in_prompt)
        if whole.startswith(start) and whole.endswith(self.tail):
            found = whole[len(start) : len(whole) - len(self.tail)]
            if not self._thinking or not (thought or self._opened):
                return found
            if closing in found and not (self._opened and found.startswith(opening)):
                return found
        if self._thinking:
            return self._inside(text) if thought else self._own_lead + text
        raise InputError(
            f"the chat template of {self._name} renders this question and response in another way than others: after "
            f"{_end(start)} it has {_end(whole)}"
        )

    def written(self, text: str, lead: str) -> str:
        """The response that generated text stands for: with the whole of its thoughts, and bare where it has none.

        Args:
            lead: what a response without thoughts begins with, as it is read from token ids.
        """
        found = lead if text.startswith(lead) else lead.rstrip(" ")  # which goes with the word after it
        if self._opened and not (found.strip() and text.startswith(found)):
            return self._opened + text
        return text.removeprefix(found)

    def leaves_out(self, text: str) -> bool:
        """Whether a response has thoughts that are not rendered."""
        return self._answers_only and self.marks is not None and self.marks[1] in text

    def next_turn(self) -> str:
        """What follows a finished response when the conversation goes on; empty where the template ends here."""
        with suppress(StageFailed):
            return self.turns(QUESTION, MARKER, QUESTION).rpartition(MARKER)[2]
        return ""

    def _settle(self, asked: str, head: str) -> str:
        """Find what a response follows, given the generation prompt and what stands before a finished response.

        Returns:
            What must be chosen before, in one line; empty where it is found.
        """
        ignored = asked == self.turns(QUESTION)
        opened = self._open(head if ignored else asked)
        goes_on = head[len(asked) :] if head.startswith(asked) else None
        if goes_on is not None and not goes_on.strip() and not opened:
            return ""
        if not opened and (ignored or not ABOUT_THINKING.search(_difference(asked, head))):
            self._follows_finished = True
            if not ignored:
                self.notes += (
                    f"{self._name}: its generation prompt ends in {_end(asked)}, its finished turns begin with "
                    f"{_end(head)}: responses are generated after the latter",
                )
            return ""
        if self._thinking is None:
            return self._choice(asked, head)
        if self._thinking:
            self._follows_finished = ignored
            if opened and self.marks and self._only_thinks(asked, head):
                self._own_lead = f"\n{self.marks[1]}\n\n"
            elif not (goes_on and self.marks and self.marks[1] in goes_on):
                return f"{self._name}: thinking on is not possible with its chat template; choose thinking off"
            return ""
        if self._open(head):
            return f"{self._name}: thinking off is not possible with its chat template; choose thinking on"
        if not opened and self.marks and asked.startswith(head) and self.marks[1] in asked[len(head) :]:
            self._block_in_prompt = asked[len(head) :]
        else:
            self._follows_finished = True
        return ""

    def _only_thinks(self, asked: str, head: str) -> bool:
        """Whether a prompt that opens a block of thoughts differs in thoughts alone from how finished turns begin."""
        opening, closing = self.marks or ("", "")
        before, found, _ = asked.rpartition(opening) if self._open(asked) else head.rpartition(opening)
        rest = head.removeprefix(before).replace(opening, "").replace(closing, "")
        return bool(found) and head.startswith(before.rstrip()) and not rest.strip()

    def _choice(self, asked: str, head: str) -> str:
        """One line that says what there is to choose."""
        both = [ChatTemplate(self._name, self._tokenizer, thinking) for thinking in (False, True)]
        possible = [template._chosen() for template in both if not template.unsettled]
        if not possible:
            return f"{self._name}: its chat template leaves no place for a response without thoughts"
        word, value = ("off", "false") if not both[0].unsettled else ("on", "true")
        return (
            f"{self._name}: its generation prompt ends in {_end(asked)}, its finished turns begin with {_end(head)}. "
            f"Choose how it is asked, scored and trained: {'; or '.join(possible)}. "
            f"In a study file: thinking: {{{self._name}: {value}}}; in score: --thinking {word}"
        )

    def _chosen(self) -> str:
        follows = f"a response follows {_end(self.prompt(QUESTION))}"
        if not self._thinking:
            return f"thinking off ({follows}, without thoughts)"
        bare = f"; {self.lead!r} is put before one that has none" if self.lead.strip() else ""
        return f"thinking on ({follows} and holds its thoughts{bare})"

    def _open(self, text: str) -> bool:
        """Whether a prompt ends inside a block of thoughts."""
        end = text.rpartition(QUESTION)[2]
        return self.marks is not None and end.rfind(self.marks[0]) > end.rfind(self.marks[1])

    def _inside(self, text: str) -> str:
        """A response with thoughts, as it follows the prompt: the prompt may have opened the block already."""
        opening = self.marks[0] if self.marks else ""
        if not self._opened or not text.lstrip().startswith(opening):
            return text
        return text.removeprefix(self._opened) if text.startswith(self._opened) else text.lstrip()[len(opening) :]


def _marks(text: str) -> tuple[str, str] | None:
    """How thoughts begin and end in a chat template's text."""
    if found := XML_MARK.search(text):
        return f"<{found[1]}>", f"</{found[1]}>"
    return next((pair for pair in OTHER_MARKS if pair[0] in text), None)


def _difference(one: str, other: str) -> str:
    """What two texts have after their common beginning."""
    common = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    return other[len(one) :] + one[len(other) :] if common is None else one[common:] + other[common:]


def _end(text: str) -> str:
    """What a prompt ends in after the question, for a message."""
    end = text.rpartition(QUESTION)[2]
    return repr(end if len(end) <= SHOWN else "…" + end[-SHOWN:])
