"""Natural Instructions v2: tasks defined in words, the 22 of SELF-GUIDE (`natural_instructions/task1562`, …).

    {"Definition": ["Paraphrase the given questions to have different wording. …"],
     "Positive Examples": [{"input": "Does this dog breed have short legs …?", "output": "Is the body of this dog breed
                            large compared to its legs?", "explanation": "The output has the same meaning …"}],
     "Instances": [{"id": "task1562-f240397c06214edf9fcb021ad191af20",
                    "input": "What four-legged animals can be seen in this national park?",
                    "output": ["Which animals that have four legs can be seen in this national park?"]}], …}

The question is an instance's input, its task's definition the column `context`, all its outputs are `references`, and
the first is the gold answer and the reference. The 2 to 10 positive examples are the column `demos` (input, output,
explanation), which the prompt leaves out and that of `natural_instructions_few_shot/task1562` shows (these need the
authors' task files); the negative ones, whose explanation says why the output is wrong, are `negative_examples`.
Generation is scored by ROUGE-L, classification by exact match, each the best over the references, as in
eval/automatic/evaluation.py of github.com/allenai/natural-instructions (Wang et al. 2022, arXiv 2204.07705). An
instance without input or output (there is 1, in task1195) is left out.

SELF-GUIDE (Zhao et al. 2024, arXiv 2407.12874) draws 10 % of a task's instances for validation and 90 % for its test,
without a seed. Here an instance's id decides, so that each copy of a task is divided alike: `train` are those whose
SHA-256, as a number, is divisible by 10, `test` are all others.

Licence: Apache-2.0; a task's instances have their own (`Instance License` in its file). Hub Muennighoff/
natural-instructions, a JSONL file for each task with a row for each output (task_name, id, definition, inputs, targets)
and without examples; or the authors' task files (tasks/task1562_zest_text_modification.json).
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from data.benchmark import Benchmark
from data.prompt import prompt
from data.row_values import Row
from data.source import Hub

GENERATION = {
    "task036_qasc_topic_word_to_generate_related_fact": "CC BY 4.0",
    "task039_qasc_find_overlapping_words": "CC BY 4.0",
    "task121_zest_text_modification": "Apache 2.0",
    "task281_points_of_correspondence": "BSD",
    "task1195_disflqa_disfluent_to_fluent_conversion": "CC BY 4.0",
    "task1345_glue_qqp_question_paraprashing": "Quora Terms of Service",
    "task1562_zest_text_modification": "Apache 2.0",
    "task1622_disfl_qa_text_modication": "CC BY 4.0",
}
CLASSIFICATION = {
    "task190_snli_classification": "CC BY-SA 4.0",
    "task199_mnli_classification": "OANC",
    "task200_mnli_entailment_classification": "OANC",
    "task284_imdb_classification": "as its file says",
    "task329_gap_classification": "Apache 2.0",
    "task346_hybridqa_classification": "MIT",
    "task738_perspectrum_classification": "CC BY-SA",
    "task937_defeasible_nli_social_classification": "MIT",
    "task1385_anli_r1_entailment": "CC BY-NC 4.0",
    "task1386_anli_r2_entailment": "CC BY-NC 4.0",
    "task1516_imppres_naturallanguageinference": "CC BY-NC 4.0",
    "task1529_scitail1.1_classification": "Apache 2.0",
    "task1612_sick_label_classification": "CC BY-NC-SA 3.0",
    "task1615_sick_tclassify_b_relation_a": "CC BY-NC-SA 3.0",
}
"""The licence of each task's instances."""


def row(raw: Row) -> Row:
    targets = raw["targets"]
    outputs = [str(target) for target in (targets if isinstance(targets, list) else [targets]) if str(target).strip()]
    made: Row = {
        "id": raw["id"],
        "question": raw["inputs"],
        "gold": outputs[0] if outputs else "",
        "reference": outputs[0] if outputs else None,
        "context": raw["definition"],
        "references": outputs,
    }
    return made | {name: raw[name] for name in ("demos", "negative_examples") if name in raw}


def belongs(row: Row, split: str) -> bool:
    """Whether an instance is whole and of the split: a tenth for training, the others for the test."""
    tenth = int(hashlib.sha256(str(row["id"]).encode()).hexdigest(), 16) % 10 == 0
    return bool(str(row["question"]).strip() and row["gold"]) and tenth == (split == "train")


def instances(document: Any) -> Iterable[Row]:
    """The instances of an official task file, in the form that they have on the hub."""
    definition = document["Definition"]
    demos, negative = (
        [{key: str(shown[key]) for key in ("input", "output", "explanation")} for shown in document[f"{kind} Examples"]]
        for kind in ("Positive", "Negative")
    )
    for instance in document["Instances"]:
        yield {
            "id": instance["id"],
            "definition": definition if isinstance(definition, str) else definition[0],
            "inputs": instance["input"],
            "targets": instance["output"],
            "demos": demos,
            **({"negative_examples": negative} if negative else {}),
        }


def benchmark(task: str, verifier: str, licence: str, family: str, template: str) -> Benchmark:
    layout = (f"**/{task}.json", f"**/{task}_*.jsonl", f"**/{task}.jsonl")
    return Benchmark(
        name=f"{family}/{task.partition('_')[0]}",
        source=Hub(
            "Muennighoff/natural-instructions",
            "default",
            revision="a29a9757125f4bb1c26445ad0d2ef7d9b2cc9c4c",
            files=f"*/{task}_*.jsonl",
        ),
        id="id",
        row=row,
        keep=belongs,
        joined="references",
        prompt=prompt(template),
        verifier=verifier,
        licence=f"Apache-2.0, instances {licence}",
        layouts={"train": layout, "test": layout},
        document=instances,
    )


BENCHMARKS = tuple(
    benchmark(task, verifier, licence, family, template)
    for family, template in (("natural_instructions", "instance"), ("natural_instructions_few_shot", "few_shot"))
    for tasks, verifier in ((GENERATION, "rouge_l"), (CLASSIFICATION, "ni_exact"))
    for task, licence in tasks.items()
)
