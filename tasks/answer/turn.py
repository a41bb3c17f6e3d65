r"""What of a response is the model's own answer to the question, for a verifier to read.

    `<think>Is it 17? No.</think>The answer is 18.<|im_end|>`    The answer is 18.

Left out are reasoning blocks, which hold drafts; the tokens that end a turn and what a model writes after them; and
the byte-order mark in front.
"""

import re

_BEFORE, _AFTER = "(?<![\"'])(?<![^`]`)", "(?![\"']|`(?!`))"
"""A tag in quotes is spoken of, as in a program that reads such tags."""

_OPENED = r"<(?:think|thinking|thought|reasoning)>|<\|begin_of_thought\|>|\[THINK\]|<seed:think>|◁think▷"
_CLOSED = r"</(?:think|thinking|thought|reasoning)>|<\|end_of_thought\|>|\[/THINK\]|</seed:think>|◁/think▷"
_REASONING = re.compile(rf"{_BEFORE}(?:{_OPENED}){_AFTER}.*?(?:{_BEFORE}(?:{_CLOSED}){_AFTER}|\Z)", re.I | re.S)
_REASONING_END = re.compile(rf"{_BEFORE}(?:{_CLOSED}){_AFTER}", re.IGNORECASE)
_FINAL_CHANNEL = re.compile(r"<\|channel\|>\s*final\b[^<]*<\|message\|>")
_ANALYSIS_CHANNEL = re.compile(r"<\|channel\|>\s*(?:analysis|commentary)\b")
_ROLE = re.compile(
    r"\A\s*(?:<s>|<\|begin_of_text\|>|<bos>)?\s*"
    r"(?:<\|im_start\|>\s*assistant|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>|<\|assistant\|>"
    r"|<start_of_turn>\s*model|<\|start\|>\s*assistant|<\|begin_of_solution\|>)\s*"
)
_TOKEN = (
    r"</s>|<eos>|<pad>|<end_of_turn>|<turn\|>|<[|｜](?:end|eot|eos|eom|im_end|endoftext|end_of_text|end_of_turn|end_of_msg"
    r"|endofturn|endofresponse|eot_id|eom_id|return|END_OF_TURN_TOKEN|end[▁_]of[▁_]sentence|end_of_solution|pad)[|｜]>"
)
_TURN_ENDS = re.compile(rf"{_BEFORE}(?:{_TOKEN}){_AFTER}")
_ANOTHER_TURN = re.compile(
    rf"{_BEFORE}(?:<\|(?:im_start|start_header_id|user|system|start)\|>|<start_of_turn>|\[/?INST\]"
    rf"|<[|｜](?:User|Assistant)[|｜]>){_AFTER}"
)
_LAST_TOKEN = re.compile(rf"(?:{_TOKEN}|<\|[a-z_]+\|>)\Z")
_LONGEST_TOKEN = 40


def turn(response: str) -> str:
    """The text of the turn without reasoning and turn tokens.

    A reasoning block that is never closed leaves nothing. Where only its end stands (its start was part of the prompt),
    what is before it is reasoning.
    """
    text = response.removeprefix("\ufeff")
    if not any(sign in text for sign in "<[◁"):
        return text
    if "<|channel|>" in text:
        final = list(_FINAL_CHANNEL.finditer(text))
        if final:
            text = text[final[-1].end() :]
        elif _ANALYSIS_CHANNEL.search(text):
            return ""
    text = _REASONING.sub("", text)
    closed = list(_REASONING_END.finditer(text))
    text, _ = ended(_ROLE.sub("", text[closed[-1].end() :] if closed else text))
    begun = _ANOTHER_TURN.search(text)
    return text[: begun.start()] if begun else text


def ended(text: str) -> tuple[str, bool]:
    """The text up to the first token that ends a turn, and whether there is one.

    Such tokens (`</s>`, `<|im_end|>`) are no part of what was said; a tokenizer may have left them in. `</s>` behind
    an `<s>` of its own, and what stands in quotes, is text.
    """
    if ">" not in text:
        return text, False
    for token in _TURN_ENDS.finditer(text):
        if token[0] != "</s>" or not text.rfind("<s>", 1, token.start()) > text.rfind("</s>", 0, token.start()):
            return text[: token.start()].rstrip(), True
    return text, False


def without_end(text: str) -> str:
    """The text without the tokens that end a turn (`</s>`, `<|im_end|>`), which a tokenizer may have left in."""
    while (kept := text.rstrip()).endswith(">"):
        last = _LAST_TOKEN.search(kept[-_LONGEST_TOKEN:])
        if last is None:
            break
        text = kept[: -len(last[0])]
    return text
