"""The verdict in Markdown, for a Prefect artifact: the answer, then the claims, which a table would not wrap."""

from tasks.comparison.results import Results
from tasks.reporting import missing_cells
from tasks.reporting.markdown import escaped

FEW = 20
"""With more claims than these, those of the study file are given and the others counted."""


def verdict_markdown(results: Results) -> str:
    """What a comparison found, as Markdown."""
    lines = []
    for verdict in results.verdicts:
        lines += [f"**{escaped(verdict['sentence'])}**", *map(escaped, verdict["details"]), ""]
        lines += [_item(answer["status"], answer["claim"], answer["sentence"]) for answer in verdict["contrasts"]]
        if len(verdict["claims"]) <= FEW:
            lines += [_item(claim["status"], claim["text"], claim["sentence"]) for claim in verdict["claims"]]
        else:
            pairs = "arms" if verdict["by_name"] else "origins"
            lines += ["", f"{len(verdict['claims'])} claims about pairs of {pairs} are in the report."]
        lines.append("")
    said = missing_cells.lines(results.missing, FEW)
    lines += [*said[:1], "", *(f"- {escaped(line)}" for line in said[1:])]
    return "\n".join(lines)


def _item(status: str, claim: str, sentence: str) -> str:
    return f"- **{status}**: {escaped(claim)} {escaped(sentence)}"
