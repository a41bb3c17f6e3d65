"""`mothertongue store verify`: whether the store's artifacts are what their manifests say."""

from flows.cli.store_contents import Contents, counted, size_of
from flows.results.json_output import say
from tasks.storage import verification
from tasks.storage.inventory import Condition
from tasks.storage.opening import open_store


def show(as_json: bool) -> int:
    """Print which artifacts are damaged; returns 1 where there are any."""
    contents = Contents(open_store())
    damages = list(verification.verify(contents.store, contents.artifacts))
    checked = [one for one in contents.artifacts if one.condition in (Condition.COMPLETE, Condition.UNREADABLE)]
    if as_json:
        lines = [
            {"stage": one.artifact.stage, "key": one.artifact.key, "label": one.artifact.label}
            | {"file": one.file, "what": one.what}
            for one in damages
        ]
        say({"store": str(contents.store), "checked": len(checked), "damaged": lines})
    else:
        for one in damages:
            print(f"damaged: {one.artifact.name}: {one.file} {one.what}")
        damaged = len({one.artifact.folder for one in damages})
        print(f"{counted(len(checked))} checked ({size_of(checked)}), {damaged or 'none'} damaged.")
        if damaged:
            print("A run that needs one of them sets it aside and makes it again.")
    return 1 if damages else 0
