"""Chat templates of models that think, or name channels."""

from tests.tasks.chat_templates import ASKED, BARE, END, IM, LOOP, Kind, Turn

THINK = ("<think>", "</think>")
EMPTY = "<think>\n\n</think>\n\n"
RESPONSE = ("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_THINKING|>", "<|END_THINKING|>")
SPLIT = (
    "{% set c = m['content'] %}{% set t = '' %}{% if '</think>' in c %}{% set t = c.split('</think>')[0]"
    ".split('<think>')[-1].strip('\\n') %}{% set c = c.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
)
"""Sets `t` to a message's thoughts and `c` to what follows them."""

THINKING_KINDS: dict[str, Kind] = {
    "Qwen3: finished turns have an empty block": Kind(
        LOOP
        + "<|im_start|>{{ m['role'] }}\n{% if m['role'] == 'assistant' %}"
        + SPLIT
        + "{% if loop.last or t %}<think>\n{{ t }}\n</think>\n\n{% endif %}{{ c.lstrip('\\n') }}"
        + "{% else %}{{ m['content'] }}{% endif %}<|im_end|>\n"
        + END
        + "<|im_start|>assistant\n{% if enable_thinking is defined and enable_thinking is false %}"
        "<think>\n\n</think>\n\n{% endif %}{% endif %}",
        {False: Turn(ASKED + EMPTY, BARE, "<|im_end|>"), True: Turn(ASKED, EMPTY + BARE, "<|im_end|>")},
        IM,
        THINK,
        {"eos_token": "<|im_end|>"},
    ),
    "Qwen3.5: the prompt opens a block, finished turns have an empty one": Kind(
        LOOP
        + "<|im_start|>{{ m['role'] }}\n{% if m['role'] == 'assistant' %}"
        + SPLIT
        + "{% if loop.last %}<think>\n{{ t }}\n</think>\n\n{% endif %}{{ c | trim }}"
        + "{% else %}{{ m['content'] | trim }}{% endif %}<|im_end|>\n"
        + END
        + "<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking %}"
        "<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}{% endif %}",
        {
            False: Turn(ASKED + EMPTY, "She has 7.", "<|im_end|>"),
            True: Turn(ASKED + "<think>\n", "\n</think>\n\nShe has 7.", "<|im_end|>"),
        },
        IM,
        THINK,
        {"eos_token": "<|im_end|>"},
    ),
    "Nemotron 3: the prompt opens a block, finished turns close it at once": Kind(
        LOOP + "<|im_start|>{{ m['role'] }}\n{% set c = m['content'] %}{% if m['role'] == 'assistant' "
        "and '<think>' not in c and '</think>' not in c %}<think></think>{% endif %}{{ c.rstrip() }}<|im_end|>\n"
        + END
        + "<|im_start|>assistant\n"
        "{{ '<think>\n' if enable_thinking | default(true) else '<think></think>' }}{% endif %}",
        {
            False: Turn(ASKED + "<think></think>", " She has 7.", "<|im_end|>"),
            True: Turn(
                ASKED + "<think>\n",
                "\n</think>\n\n" + BARE,
                "<|im_end|>",
                text=ASKED + "<think></think> She has 7.<|im_end|>",
            ),
        },
        IM,
        THINK,
        {"eos_token": "<|im_end|>"},
    ),
    "DeepSeek-R1: the prompt opens a block, thoughts of finished turns are dropped": Kind(
        "{{ bos_token }}" + LOOP + "{% if m['role'] == 'user' %}<|User|>{{ m['content'] }}{% else %}<|Assistant|>"
        "{{ m['content'].split('</think>')[-1] }}{{ eos_token }}{% endif %}"
        + END
        + "<|Assistant|><think>\n{% endif %}",
        {
            False: Turn("Hello<|Assistant|>", BARE, "</s>"),
            True: Turn(
                "Hello<|Assistant|><think>\n",
                "\n</think>\n\n" + BARE,
                "</s>",
                text="Hello<|Assistant|>" + BARE + "</s>",
            ),
        },
        ("<s>", "</s>", "<|User|>", "<|Assistant|>"),
        THINK,
        {"bos_token": "<s>", "eos_token": "</s>"},
    ),
    "Nemotron Nano 2: finished turns begin inside the block": Kind(
        LOOP
        + "{% if m['role'] == 'user' %}<|User|>{{ m['content'] }}\n{% else %}<|Assistant|><think>\n{{ m['content'] }}"
        "</s>{% endif %}" + END + "<|Assistant|><think>\n{% endif %}",
        {
            True: Turn(
                "Hello\n<|Assistant|><think>\n",
                "\n</think>\n\n" + BARE,
                "</s>",
                text="Hello\n<|Assistant|><think>\n" + BARE + "</s>",
            )
        },
        ("</s>", "<|User|>", "<|Assistant|>"),
        THINK,
        {"eos_token": "</s>"},
    ),
    "SmolLM3: a switch alone": Kind(
        LOOP + "<|im_start|>{{ m['role'] }}\n{% if m['role'] == 'assistant' and not enable_thinking | default(true) %}"
        "<think>\n\n</think>\n{% endif %}{{ m['content'] }}<|im_end|>\n" + END + "<|im_start|>assistant\n"
        "{% if not enable_thinking | default(true) %}<think>\n\n</think>\n{% endif %}{% endif %}",
        {
            None: Turn(ASKED, BARE, "<|im_end|>"),
            False: Turn(ASKED + "<think>\n\n</think>\n", BARE, "<|im_end|>"),
            True: Turn(ASKED, BARE, "<|im_end|>"),
        },
        IM,
        THINK,
        {"eos_token": "<|im_end|>"},
    ),
    "GLM 4.5: the next turn ends a turn": Kind(
        LOOP
        + "<|{{ m['role'] }}|>\n{% if m['role'] == 'assistant' %}"
        + SPLIT
        + "<think>{{ t }}</think>\n{{ c | trim }}{% else %}{{ m['content'] }}"
        "{{ '/nothink' if not enable_thinking | default(true) }}{% endif %}"
        + END
        + "<|assistant|>{{ '\n<think></think>' if not enable_thinking | default(true) }}{% endif %}",
        {
            False: Turn("Hello/nothink<|assistant|>\n<think></think>", "\nShe has 7.", "<|user|>"),
            True: Turn("Hello<|assistant|>", "\n<think></think>\nShe has 7.", "<|user|>"),
        },
        ("<|endoftext|>", "<|user|>", "<|assistant|>"),
        THINK,
        {"eos_token": "<|endoftext|>"},
        stops=("<|endoftext|>", "<|user|>"),
    ),
    "gpt-oss: channels": Kind(
        "<|start|>system<|message|>Date: {{ strftime_now('%Y-%m-%d') }}<|end|>"
        + LOOP
        + "{% if m['role'] == 'user' %}<|start|>user<|message|>{{ m['content'] }}<|end|>{% else %}"
        "<|start|>assistant<|channel|>final<|message|>{{ m['content'] }}{{ '<|return|>' if loop.last else '<|end|>' }}"
        "{% endif %}" + END + "<|start|>assistant{% endif %}",
        {False: Turn("Hello<|end|><|start|>assistant<|channel|>final<|message|>", BARE, "<|return|>")},
        ("<|start|>", "<|message|>", "<|channel|>", "<|end|>", "<|return|>", "<|call|>", "<|endoftext|>"),
        options={"eos_token": "<|return|>"},
        stops=("<|return|>", "<|call|>", "<|endoftext|>"),
    ),
    "Gemma 4: the prompt alone has an empty block, of special tokens": Kind(
        "{{ bos_token }}{% if enable_thinking | default(false) %}<|turn>system\nThink.<turn|>\n{% endif %}"
        + LOOP
        + "<|turn>{{ 'model' if m['role'] == 'assistant' else 'user' }}\n"
        "{{ m['content'].split('<channel|>')[-1] | trim }}<turn|>\n" + END + "<|turn>model\n"
        "{% if not enable_thinking | default(false) %}<|channel>thought\n<channel|>{% endif %}{% endif %}",
        {
            False: Turn(
                "Hello<turn|>\n<|turn>model\n<|channel>thought\n<channel|>",
                "She has 7.",
                "<turn|>",
                text="Hello<turn|>\n<|turn>model\nShe has 7.<turn|>",
            ),
            True: Turn("Hello<turn|>\n<|turn>model\n", "She has 7.", "<turn|>"),
        },
        ("<s>", "</s>", "<|turn>", "<turn|>", "<|channel>", "<channel|>"),
        options={"bos_token": "<s>", "eos_token": "</s>"},
        stops=("</s>", "<turn|>"),
    ),
    "Kimi K2: finished turns have an empty block": Kind(
        LOOP + "{% if m['role'] == 'user' %}<|User|>{{ m['content'] }}<|end|>{% else %}<|Assistant|>"
        "{{ '<think></think>' if '</think>' not in m['content'] }}{{ m['content'] }}<|end|>{% endif %}"
        + END
        + "<|Assistant|>{% endif %}",
        {
            False: Turn("Hello<|end|><|Assistant|><think></think>", BARE, "<|end|>"),
            True: Turn("Hello<|end|><|Assistant|>", "<think></think>" + BARE, "<|end|>"),
        },
        ("<|end|>", "<|User|>", "<|Assistant|>"),
        THINK,
        {"eos_token": "<|end|>"},
    ),
    "DeepSeek V3.1: closed unless it is switched on": Kind(
        LOOP + "{% if m['role'] == 'user' %}<|User|>{{ m['content'] }}{% else %}<|Assistant|></think>"
        "{{ m['content'].split('</think>')[-1] }}</s>{% endif %}"
        + END
        + "<|Assistant|>{{ '<think>' if thinking | default(false) else '</think>' }}{% endif %}",
        {
            None: Turn("Hello<|Assistant|></think>", BARE, "</s>"),
            False: Turn("Hello<|Assistant|></think>", BARE, "</s>"),
            True: Turn(
                "Hello<|Assistant|><think>",
                "\n</think>\n\n" + BARE,
                "</s>",
                text="Hello<|Assistant|></think>" + BARE + "</s>",
            ),
        },
        ("</s>", "<|User|>", "<|Assistant|>"),
        THINK,
        {"eos_token": "</s>"},
    ),
    "Command A: thoughts and responses are marked": Kind(
        LOOP + "{% if m['role'] == 'user' %}<|User|>{{ m['content'] }}<|end|>{% else %}<|Assistant|><|START_RESPONSE|>"
        "{{ m['content'] }}<|END_RESPONSE|><|end|>{% endif %}" + END + "<|Assistant|><|START_THINKING|>"
        "{{ '<|END_THINKING|>' if not reasoning | default(true) }}{% endif %}",
        {False: Turn("Hello<|end|><|Assistant|><|START_RESPONSE|>", BARE, "<|END_RESPONSE|><|end|>")},
        ("<|end|>", "<|User|>", "<|Assistant|>", *RESPONSE),
        options={"eos_token": "<|end|>"},
    ),
    "Apriel: the prompt says that reasoning follows": Kind(
        LOOP
        + "{% if m['role'] == 'user' %}<|User|>{{ m['content'] }}\n{% else %}<|Assistant|>\n{{ m['content'] }}<|end|>"
        "{% endif %}" + END + "<|Assistant|>\nHere are my reasoning steps:\n{% endif %}",
        {False: Turn("Hello\n<|Assistant|>\n", BARE, "<|end|>")},
        ("<|end|>", "<|User|>", "<|Assistant|>"),
        options={"eos_token": "<|end|>"},
    ),
}
