"""What a model folder may hold to be loaded: safetensors weights, and no code of its own unless the study says so.

A pickle (`.bin`, `.pt`, `.pth`, `.ckpt`, `.pkl`) runs whatever it likes when it is loaded. None is ever opened here:
loaders are told to take safetensors, and a folder without any is refused before anything starts.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from data import allowed_paths
from data.errors import InputError, shown
from tasks.models import safetensors_header

WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
TOKENIZER = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template*", "vocab*", "merges.txt")
VOCABULARIES = ("tokenizer.json", "*.model", "vocab.*", "*.tiktoken", "tokenizer.*.json")
READ = ("config.json", "generation_config.json", *TOKENIZER, "*.model", *WEIGHTS)
"""Files of a model folder that decide what it says."""
CODE = ("*.py",)
"""What decides it too where the model's own code is run."""
LAYER = re.compile(r"^(?:model\.|transformer\.|language_model\.)*(?:layers|h)\.(\d+)\.")
EMBEDDING = re.compile(r"^(?:model\.|transformer\.)?(?:embed_tokens|wte)\.weight$")
"""The table of token embeddings of a model that is of text alone."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")

os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
# transformers would else fetch converted weights from a pull request on the hub, which no commit pins.


def files(folder: Path, globs: tuple[str, ...]) -> list[Path]:
    return sorted({path for glob in globs for path in folder.glob(glob) if path.is_file()})


def check(name: str, folder: Path, remote_code: bool) -> None:
    """See that a model folder can be loaded and runs nothing by itself.

    Args:
        name: what the study calls it.
        remote_code: whether the study trusts the model's own code.

    Raises:
        InputError: it lacks a configuration, a tokenizer or safetensors weights, one of them is broken, it is an
            adapter, its weights' index leads out of it or names a file that is not there, its weights are not those
            that its configuration speaks of, or it needs code of its own that the study does not trust.
    """
    if (folder / "adapter_config.json").exists():
        raise InputError(
            f"{name}: this folder holds an adapter (adapter_config.json). Allowed: a whole model; merge the adapter "
            "into its base model first (peft: merge_and_unload), and save that"
        )
    has_weights = bool(files(folder, ("*.safetensors",)))
    if not has_weights and (pickles := files(folder, PICKLES)):
        raise InputError(
            f"{name}: its weights are pickles ({pickles[0].name}), which can run any code when they are loaded. "
            "Allowed: *.safetensors; convert them where you trust the model (save_pretrained writes safetensors)"
        )
    shapes = _shapes(name, folder)
    missing = [
        what for what, there in (("config.json", (folder / "config.json").is_file()), ("*.safetensors", has_weights))
        if not there
    ]  # fmt: skip
    if missing:
        raise InputError(f"{name}: this folder is no model: it has no {' and no '.join(missing)}")
    for index in files(folder, ("*.safetensors.index.json",)):
        named = _json(name, index).get("weight_map")
        for shard in sorted(set(named.values() if isinstance(named, dict) else ())):
            if not isinstance(shard, str) or Path(shard).name != shard or not shard.endswith(".safetensors"):
                raise InputError(f"{name}: {index.name} names {shard!r}. Allowed: *.safetensors files of its folder")
            if not (folder / shard).is_file():
                raise InputError(f"{name}: {index.name} names {shard}, which is not there. Allowed: the whole model")
    _check_code(name, folder, remote_code)
    config = _json(name, folder / "config.json")
    if not isinstance(config.get("model_type"), str):
        raise InputError(f"{name}: config.json names no model_type; allowed: the configuration of a whole model")
    _check_fit(name, config, shapes)
    _check_tokenizer(name, folder)


def _check_fit(name: str, config: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> None:
    """See that the weights are all that the configuration speaks of: what is missing is made up when it is loaded."""
    if not shapes:
        raise InputError(f"{name}: its *.safetensors hold no weights. Allowed: a whole model")
    inner = config.get("text_config")
    of_text = inner if isinstance(inner, dict) else config
    layers = {int(found[1]) for tensor in shapes if (found := LAYER.search(tensor))}
    said = of_text.get("num_hidden_layers", of_text.get("n_layer"))
    if layers and isinstance(said, int) and max(layers) + 1 < said:
        raise InputError(f"{name}: config.json speaks of {said:,} layers, its weights have {max(layers) + 1:,}")
    width = of_text.get("hidden_size", of_text.get("n_embd"))
    table = (of_text.get("vocab_size"), of_text.get("word_embed_proj_dim", of_text.get("embedding_size", width)))
    for tensor, shape in shapes.items():
        if EMBEDDING.search(tensor) and len(shape) == 2 and None not in table and shape != table:
            raise InputError(
                f"{name}: config.json speaks of {table[0]} tokens of {table[1]} numbers, {tensor} holds {shape[0]} of "
                f"{shape[1]}"
            )


def _shapes(name: str, folder: Path) -> dict[str, tuple[int, ...]]:
    """The tensors of all weight files with their shapes."""
    found: dict[str, tuple[int, ...]] = {}
    for path in files(folder, ("*.safetensors",)):
        try:
            found |= safetensors_header.tensors(path)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{name}: {path.name} cannot be read as safetensors: {error}. Allowed: the whole file; download or "
                "copy it again"
            ) from None
    return found


def _check_tokenizer(name: str, folder: Path) -> None:
    """See that there is a tokenizer, and that it can be read."""
    from tokenizers import Tokenizer

    if not files(folder, VOCABULARIES) and not _is_of_bytes(name, folder):
        raise InputError(f"{name}: this folder has no tokenizer. Allowed: one with {', '.join(VOCABULARIES)}")
    for path in files(folder, ("tokenizer_config.json",)):
        _json(name, path)
    for path in files(folder, ("tokenizer.json",)):
        _json(name, path)
        try:
            Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing more particular
            raise InputError(f"{name}: {path.name} is no tokenizer: {error}") from None


def _is_of_bytes(name: str, folder: Path) -> bool:
    """Whether the tokenizer has no vocabulary: its tokens are bytes or characters."""
    config = folder / "tokenizer_config.json"
    return config.is_file() and str(_json(name, config).get("tokenizer_class", "")).startswith(("ByT5", "Canine"))


def check_continues(name: str, folder: Path, remote_code: bool) -> None:
    """See that a model is of a kind that continues texts: those are scored and fine-tuned here.

    Raises:
        InputError: transformers knows no such model, and it brings no trusted code of its own.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    kind = _json(name, folder / "config.json").get("model_type")
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not (remote_code and _mapped(name, folder / "config.json")):
        raise InputError(
            f"{name}: config.json names the model_type {shown(kind)}; allowed: one that this version of transformers "
            "knows as a causal language model, such as llama or qwen3"
        )


def check_links(name: str, folder: Path, roots: tuple[Path, ...]) -> None:
    """Raises InputError where a file of the model is a link to something that a study may not read."""
    for path in files(folder, (*READ, *CODE)):
        allowed_paths.check(path, (*roots, *hub_folders(folder)), f"{name}: {path.name}")


def hub_folders(folder: Path) -> tuple[Path, ...]:
    """In the hub's cache a model's files are links into the folder `blobs` beside `snapshots`."""
    cached = folder.resolve().parent
    return (cached.parent / "blobs",) if cached.name == "snapshots" else ()


def _check_code(name: str, folder: Path, remote_code: bool) -> None:
    own = {**_mapped(name, folder / "config.json"), **_mapped(name, folder / "tokenizer_config.json")}
    if not own:
        return
    if not remote_code:
        if _needed(name, folder, own):
            raise InputError(
                f"{name}: this model needs code of its own ({', '.join(sorted(own))}), which would run here with all "
                f"your rights. Allowed where you have read it: trust_remote_code: [{name}] in the study file"
            )
        return
    elsewhere = sorted(text for text in own.values() if "--" in text)
    if elsewhere:
        raise InputError(
            f"{name}: its code lies in another repository ({elsewhere[0]}), whose content nothing pins. Allowed: code "
            "in the model's own folder"
        )


def _mapped(name: str, path: Path) -> dict[str, str]:
    """`auto_map` of a configuration: which class of which file of the model stands for what."""
    mapped = _json(name, path).get("auto_map") if path.is_file() else None
    if isinstance(mapped, list | str):  # old tokenizers
        mapped = {"AutoTokenizer": mapped}
    if not isinstance(mapped, dict):
        return {}
    return {
        what: " ".join(filter(None, value)) if isinstance(value, list) else str(value) for what, value in mapped.items()
    }


def _needed(name: str, folder: Path, own: dict[str, str]) -> bool:
    """Whether transformers has no class of its own for the model, or for its tokenizer."""
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if any(what != "AutoTokenizer" for what in own):
        return _json(name, folder / "config.json").get("model_type") not in CONFIG_MAPPING_NAMES
    known = _json(name, folder / "tokenizer_config.json").get("tokenizer_class")
    return not (isinstance(known, str) and hasattr(transformers, known))


def _json(name: str, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{name}: {path.name} cannot be read as JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{name}: {path.name} is no JSON object")
    return content
