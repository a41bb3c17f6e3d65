"""Chat templates after the kinds that models come with, and what each makes of one question and one response.

The templates are ours, and keep of a model family only how it begins and ends turns.
"""

from dataclasses import dataclass, field

from tests.bench.models import CHAT


@dataclass(frozen=True)
class Turn:
    """What the response `BARE` to the question `Hello` has to be rendered as."""

    prompt: str
    """The end of the prompt, from the question on."""
    response: str
    end: str
    text: str = ""
    """What the template makes of the two, from the question on, where it is not these three together."""


@dataclass(frozen=True)
class Kind:
    """A chat template, its special tokens and its turns by whether thinking is chosen (None: nothing is chosen)."""

    template: str | None
    turns: dict[bool | None, Turn]
    """A choice that is missing has to be refused."""
    special: tuple[str, ...]
    marks: tuple[str, ...] = ()
    """Tokens that are added but not special."""
    options: dict[str, str] = field(default_factory=dict)
    """The tokenizer's `bos_token` and `eos_token`."""
    stops: tuple[str, ...] = ()
    """Tokens that the model's generation configuration stops at."""
    sentencepiece: bool = False


BARE = " She has 7.\n"
FOR_ALL = (None, False, True)
LOOP = "{% for m in messages %}"
END = "{% endfor %}{% if add_generation_prompt %}"


def every(turn: Turn) -> dict[bool | None, Turn]:
    """A template that thinking changes nothing of."""
    return dict.fromkeys(FOR_ALL, turn)


IM = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
ASKED = "Hello<|im_end|>\n<|im_start|>assistant\n"
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"

KINDS: dict[str, Kind] = {
    "ChatML": Kind(CHAT, every(Turn(ASKED, BARE, "<|im_end|>")), IM, options={"eos_token": "<|im_end|>"}),
    "ChatML, another end of sequence": Kind(
        CHAT, every(Turn(ASKED, BARE, "<|im_end|>")), IM, options={"eos_token": "<|endoftext|>"}
    ),
    "Llama 3.1: date, default system prompt, trimmed": Kind(
        "{{ bos_token }}{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
        "<|head|>system<|/head|>\n\nToday: {{ date_string }}\n\n<|eot|>"
        + LOOP
        + "<|head|>{{ m['role'] }}<|/head|>\n\n{{ m['content'] | trim }}<|eot|>"
        + END
        + "<|head|>assistant<|/head|>\n\n{% endif %}",
        every(Turn("Hello<|eot|><|head|>assistant<|/head|>\n\n", "She has 7.", "<|eot|>")),
        ("<s>", "<|head|>", "<|/head|>", "<|eot|>", "<|eom|>"),
        options={"bos_token": "<s>", "eos_token": "<|eot|>"},
        stops=("<|eom|>", "<|eot|>"),
    ),
    "Qwen2.5: default system prompt": Kind(
        "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}" + CHAT,
        every(Turn(ASKED, BARE, "<|im_end|>")),
        IM,
        options={"eos_token": "<|im_end|>"},
        stops=("<|im_end|>", "<|endoftext|>"),
    ),
    "Gemma 2 and 3: no system role, model, trimmed": Kind(
        NO_SYSTEM
        + "{{ bos_token }}"
        + LOOP
        + "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('no alternation') }}{% endif %}"
        "<turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}</turn>\n"
        + END
        + "<turn>model\n{% endif %}",
        every(Turn("Hello</turn>\n<turn>model\n", "She has 7.", "</turn>")),
        ("<s>", "</s>", "<turn>", "</turn>"),
        options={"bos_token": "<s>", "eos_token": "</s>"},
        stops=("</s>", "</turn>"),
    ),
    "Mistral v0.3: a space, special marks, no generation prompt": Kind(
        "{{ bos_token }}" + LOOP + "{% if m['role'] == 'user' %}[INST] {{ m['content'] }}[/INST]"
        "{% else %} {{ m['content'] | trim }}{{ eos_token }}{% endif %}{% endfor %}",
        every(Turn("Hello[/INST]", " She has 7.", "</s>")),
        ("<s>", "</s>", "[INST]", "[/INST]"),
        options={"bos_token": "<s>", "eos_token": "</s>"},
    ),
    "Llama 2: spaces on both sides": Kind(
        LOOP + "{% if m['role'] == 'user' %}{{ bos_token }}[INST] {{ m['content'] | trim }} [/INST]"
        "{% else %} {{ m['content'] | trim }} </s>{% endif %}{% endfor %}",
        every(Turn("Hello [/INST]", " She has 7.", " </s>")),
        ("<s>", "</s>"),
        options={"bos_token": "<s>", "eos_token": "</s>"},
    ),
    "Phi-3: end of sequence after the end of the turn": Kind(
        LOOP
        + "<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n"
        + END
        + "<|assistant|>\n{% else %}{{ eos_token }}{% endif %}",
        every(Turn("Hello<|end|>\n<|assistant|>\n", BARE, "<|end|>")),
        ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>"),
        options={"eos_token": "<|endoftext|>"},
        stops=("<|endoftext|>", "<|end|>"),
    ),
    "Command R7B: two tokens end a turn": Kind(
        LOOP + "<|turn|>{{ m['role'] }}{% if m['role'] == 'assistant' %}<|response|>{{ m['content'] }}<|/response|>"
        "{% else %}{{ m['content'] }}{% endif %}<|/turn|>" + END + "<|turn|>assistant<|response|>{% endif %}",
        every(Turn("Hello<|/turn|><|turn|>assistant<|response|>", BARE, "<|/response|><|/turn|>")),
        ("<|turn|>", "<|/turn|>", "<|response|>", "<|/response|>"),
        options={"eos_token": "<|/turn|>"},
    ),
    "a header without generation prompt": Kind(
        "{{ bos_token }}" + LOOP + "<|{{ m['role'] }}|>{{ m['content'] }}{{ eos_token }}{% endfor %}",
        every(Turn("Hello</s><|assistant|>", BARE, "</s>")),
        ("<s>", "</s>", "<|user|>", "<|assistant|>"),
        options={"bos_token": "<s>", "eos_token": "</s>"},
    ),
    "a header of plain text and a space, without generation prompt": Kind(
        LOOP + "{{ 'USER: ' if m['role'] == 'user' else ' ASSISTANT: ' }}{{ m['content'] | trim }}"
        "{{ eos_token if m['role'] == 'assistant' }}{% endfor %}",
        every(Turn("Hello ASSISTANT:", " She has 7.", "</s>")),
        ("</s>",),
        options={"eos_token": "</s>"},
    ),
    "Vicuna: a space after the generation prompt": Kind(
        LOOP + "{{ 'USER: ' if m['role'] == 'user' else ' ASSISTANT: ' }}{{ m['content'] | trim }}"
        "{{ eos_token if m['role'] == 'assistant' }}" + END + " ASSISTANT:{% endif %}",
        every(Turn("Hello ASSISTANT:", " She has 7.", "</s>")),
        ("</s>",),
        options={"eos_token": "</s>"},
    ),
    "a generation prompt that ends in a space": Kind(
        LOOP + "{{ 'Q: ' if m['role'] == 'user' else '\nA: ' }}{{ m['content'] | trim }}"
        "{{ eos_token if m['role'] == 'assistant' }}" + END + "{{ '\nA: ' }}{% endif %}",
        every(Turn("Hello\nA:", " She has 7.", "</s>")),
        ("</s>",),
        options={"eos_token": "</s>"},
    ),
    "blanks of the generation prompt are other ones": Kind(
        LOOP + "{{ '### Q:\n' if m['role'] == 'user' else '### A:\n' }}{{ m['content'] | trim }}\n\n"
        "{{ eos_token if m['role'] == 'assistant' }}" + END + "### A:\n\n{% endif %}",
        every(Turn("Hello\n\n### A:\n", "She has 7.", "\n\n</s>")),
        ("</s>",),
        options={"eos_token": "</s>"},
    ),
    "a turn that never ends": Kind(
        LOOP + "### {{ m['role'] }}\n{{ m['content'] }}\n\n" + END + "### assistant\n{% endif %}",
        every(Turn("Hello\n\n### assistant\n", BARE, "</s>", text="Hello\n\n### assistant\n" + BARE)),
        ("</s>",),
        options={"eos_token": "</s>"},
    ),
    "a base model": Kind(
        None, every(Turn("Hello\n", BARE, "</s>", text="Hello\n" + BARE)), ("</s>",), options={"eos_token": "</s>"}
    ),
    "a base model with a start": Kind(
        None,
        every(Turn("Hello\n", BARE, "</s>", text="Hello\n" + BARE)),
        ("<s>", "</s>"),
        options={"bos_token": "<s>", "eos_token": "</s>"},
    ),
}
