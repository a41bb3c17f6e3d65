"""Which model: a bundled one by name, a local folder, a hub id with a revision, or one behind an endpoint.

One whose files can be had is known by their content.
"""

import functools
import hashlib
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data import table_file, variables
from data.digest import known_digest
from data.errors import InputError, at
from tasks.models import endpoint, model_files
from tasks.models.endpoint import Endpoint, StudyEndpoints

BUNDLED = Path(__file__).resolve().parents[2] / "data" / "models"
NOT_IN_TITLES = re.compile(r"[^\w.+-]")
"""Characters of a folder's name that no name of a step, a tag or a table has."""
HUB_ID = re.compile(r"^\w[\w.-]*/\w[\w.-]*(@[\w.-]+)?\Z")


@dataclass(frozen=True)
class Model:
    """A causal language model and its tokenizer.

    `name` is what the study file says, `path` where it lies (a folder, or a hub id), `revision` a hub commit or "",
    `content` the digest of its files or the hub commit, `remote_code` whether the study trusts the code that comes with
    it, `thinking` whether it thinks before it answers (None leaves that to its chat template). Only the last three are
    part of a key.
    """

    name: str
    path: str
    revision: str
    content: str
    remote_code: bool = False
    thinking: bool | None = None

    @property
    def title(self) -> str:
        """What it is called in results: a hub id without its owner and revision, a folder's last part."""
        return title(self.name)

    def choosing(self, thinking: bool | None) -> "Model":
        """This model, told whether it thinks before it answers."""
        return replace(self, thinking=thinking)

    @property
    def folder(self) -> Path | None:
        """Where its files are on this machine; None where they have yet to be downloaded."""
        folder = _cached(self.path) / "snapshots" / self.revision if self.revision else Path(self.path)
        return folder if folder.is_dir() else None

    def identity(self) -> Any:
        chosen = {"remote_code": self.remote_code or None, "thinking": self.thinking}
        given = {name: value for name, value in chosen.items() if value is not None}
        return {"content": self.content, **given} if given else self.content


def title(name: str) -> str:
    """`owner/name@revision` and `some/folder/name` as `name`, a whole `${NAME}` as `NAME`."""
    written = variables.VARIABLE.sub(r"\1", name)
    return NOT_IN_TITLES.sub("_", written.partition("@")[0].rstrip("/").rpartition("/")[2])


@dataclass(frozen=True)
class Named:
    """How a study names a model: at which key, and on what terms. Whoever runs a command names models freely."""

    where: str
    """The key in the study file, for errors."""
    roots: tuple[Path, ...]
    """Folders that the model's folder is looked up from and may not leave; see `data.allowed_paths`."""
    remote_code: frozenset[str] = frozenset()
    """Names of models whose own code the study trusts."""
    endpoints: StudyEndpoints = field(default_factory=StudyEndpoints)
    """How the study uses the endpoints that it names."""


def resolve(name: str, by: Named | None = None) -> Model | Endpoint:
    """Find a model by the name a study file gives it; `api:<model id>` is one behind an endpoint.

    Raises:
        InputError: it is no bundled model, no folder with a config and safetensors weights, no pinned hub id, and no
            endpoint; or the study may not use it.
    """
    if not name.startswith(endpoint.PREFIX):
        return weights(name, by)
    with at(by.where if by is not None else ""):
        return endpoint.find(name, by.endpoints if by is not None else StudyEndpoints())


def weights(name: str, by: Named | None = None) -> Model:
    """Find a model whose weights are needed here: to be fine-tuned, to score, to serve.

    Raises:
        InputError: as `resolve`; and it is behind an endpoint.
    """
    with at(by.where if by is not None else ""):
        if not name.strip():
            raise InputError(f"{name!r} is not allowed: the name of a model, a folder or a hub id is")
        if name.startswith(endpoint.PREFIX):
            raise InputError(f"{name}: a model behind an endpoint can be a teacher only: its weights are needed here")
        return _weights(name, by)


def _weights(name: str, by: Named | None) -> Model:
    trusted = by is not None and name in by.remote_code
    if name in bundled():
        return _in_folder(name, BUNDLED / name, trusted)
    if by is None:
        folder = Path(name).expanduser()
        return _in_folder(name, folder, trusted) if os.path.isdir(folder) else _on_hub(name, trusted)
    place = variables.expanded(name, by.where)
    is_path = Path(place).name != place or place.startswith("~")
    if (HUB_ID.match(place) or not is_path) and not any(os.path.isdir(root / place) for root in by.roots):
        return _on_hub(name, trusted, place)
    folder = table_file.locate(name, by.roots, by.where)
    model_files.check_links(f"{by.where}: {name}", folder, by.roots)
    return _in_folder(name, folder, trusted)


def bundled() -> list[str]:
    """The models that come with the project."""
    return sorted(path.name for path in BUNDLED.iterdir() if path.is_dir()) if BUNDLED.is_dir() else []


@functools.cache
def _in_folder(name: str, folder: Path, remote_code: bool) -> Model:
    model_files.check(name, folder, remote_code)
    return Model(name, str(folder.absolute()), "", _content(folder, remote_code), remote_code)


@functools.cache
def _on_hub(name: str, remote_code: bool, id: str = "") -> Model:
    """`id` is the name with its variables expanded, where it has any."""
    id = id or name
    if not HUB_ID.match(id):
        raise InputError(
            f"{name}: no such model. Allowed: a bundled model ({', '.join(bundled())}), a folder, a hub id "
            "(owner/name@revision), or for a teacher api:<model id>"
        )
    path, _, revision = id.partition("@")
    commit = _commit(name, path, revision)
    downloaded = _cached(path) / "snapshots" / commit
    if (downloaded / "config.json").exists():
        model_files.check(name, downloaded, remote_code)
    return Model(name, path, commit, f"hub:{path}@{commit}", remote_code)


def _content(folder: Path, remote_code: bool) -> str:
    globs = (*model_files.READ, *(model_files.CODE if remote_code else ()))
    parts = [f"{path.name} {known_digest(path)}" for path in model_files.files(folder, globs)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _commit(name: str, path: str, revision: str) -> str:
    """The commit a hub revision stands for: itself if it is one, else what the local hub cache has for it."""
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    reference = _cached(path) / "refs" / (revision or "main")
    if reference.is_file():
        return reference.read_text(encoding="utf-8").strip()
    raise InputError(
        f"{name}: which content does this name? Pin a commit ({path}@<40 hex digits>), or download it first "
        f"(hf download {path}{' --revision ' + revision if revision else ''})"
    )


def _cached(path: str) -> Path:
    """Where the local hub cache has a repository."""
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub") / f"models--{path.replace('/', '--')}"
