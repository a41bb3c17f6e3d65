"""Random-weight Llama models of a wanted size, with a byte-level tokenizer and a chat template, for benchmarks."""

from pathlib import Path

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build(folder: Path, millions: float = 1.0, vocabulary: int = 512) -> Path:
    """Write a model of about `millions` parameters (1 or 100 are exact to 10 %) into `folder`."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    specials = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=specials, initial_alphabet=alphabet)
    backend.train_from_iterator(
        (f"Ann has {i} apples and buys {j} more." for i in range(50) for j in range(50)), trainer
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<|pad|>", eos_token="<|im_end|>")
    tokenizer.chat_template = CHAT
    hidden, layers = (128, 4) if millions < 10 else (768, 12 * round(millions / 100) or 12)
    torch.manual_seed(0)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=max(vocabulary, len(tokenizer)),
            hidden_size=hidden,
            intermediate_size=(3 if millions < 10 else 4) * hidden,
            num_hidden_layers=layers,
            num_attention_heads=max(4, hidden // 64),
            max_position_embeddings=2048,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            tie_word_embeddings=True,
        )
    )
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
