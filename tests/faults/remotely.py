"""A study whose store is on a real S3 server, as one machine among several sees it."""

from dataclasses import dataclass
from pathlib import Path

from tasks.storage.local_cache import folder_name
from tests.faults.disturbed import Disturbed
from tests.tasks.s3 import BUCKET, Server


@dataclass
class Remotely(Disturbed):
    """A study with a store on S3 and a cache of its own."""

    server: Server | None = None
    prefix: str = "store"
    cache: Path | None = None
    """In the folder if not given."""

    @property
    def url(self) -> str:
        return f"s3://{BUCKET}/{self.prefix}"

    def _fill(self) -> None:
        """What the store has is uploaded by the first machine that comes to it."""
        assert self.server is not None
        self.cache = self.cache or self.folder / "cache"
        self.environment |= self.server.environment()
        self.environment |= {"MOTHERTONGUE_STORE": self.url, "MOTHERTONGUE_CACHE": str(self.cache)}
        self.store = self.cache / folder_name(self.url)
        files = self.server.files()
        if files.exists(f"{BUCKET}/{self.prefix}"):
            return
        for name in sorted(self._there_at_first()):
            files.put_file(str(self.peace / "store" / name), f"{BUCKET}/{self.prefix}/{name}")

    @property
    def finished(self) -> dict[str, int]:
        """When each manifest in the remote store was written, to the second."""
        assert self.server is not None
        found = self.server.files().find(f"{BUCKET}/{self.prefix}", detail=True)
        return {
            path.removeprefix(f"{BUCKET}/{self.prefix}/"): int(info["LastModified"].timestamp())
            for path, info in found.items()
            if path.endswith("/manifest.json") and not path.startswith(f"{BUCKET}/{self.prefix}/damaged")
        }
