"""The tokenizer all three models share: byte-level BPE learnt from the world's own text.

Any text passes (every byte is a token), a digit is always one token, and the chat template is part of the files.
"""

import random
from typing import TYPE_CHECKING

from data.abacus.corpus import EVEN, Mix, sample
from data.abacus.skills import SKILLS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, BOS, END, USER, ASSISTANT = "<|pad|>", "<|bos|>", "<|end|>", "<|user|>", "<|assistant|>"
POSITIONS = 2048
TEXT = Mix(
    own="teacher",
    registers={"model": 0.30, "teacher": 0.25, "tutor": 0.15, "human": 0.20, "terse": 0.10},
    skills=dict.fromkeys(SKILLS, 1.0),
    skill_share=0.25,
    families=EVEN,
)
"""What the tokens are learnt from: a mix of its own, so that changing a model's changes no tokens."""
CHAT_TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "{{- '<|assistant|>' -}}{%- generation -%}{{- message['content'] + eos_token -}}{%- endgeneration -%}"
    "{%- else -%}"
    "{{- '<|user|>' + message['content'] -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


def build_tokenizer(vocabulary: int = 768, rows: int = 20_000, seed: int = 0) -> "PreTrainedTokenizerFast":
    """Learns the merges from `rows` rows of `TEXT`; `vocabulary` counts all tokens, special ones too."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    rng = random.Random(f"tokenizer {seed}")
    texts = [text for _ in range(rows) for row in [sample(TEXT, rng)] for text in (row.prompt, row.response)]
    tokenizer = Tokenizer(models.BPE())
    # Single digits and words with their leading space, runs of the rest: no token can span two of these.
    pieces = Regex(r" ?\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pieces, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BOS, END, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT],
        model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
