"""What a person reads of failures: steps that failed, with the cells they cost; those not run are only counted."""

from flows.config.study_file import load
from flows.execution.failure import Failure
from flows.execution.outcome import Outcome
from flows.planning.plan import expand


def test_a_failure_as_a_line_and_as_a_sentence() -> None:
    assert str(Failure("score a/b", "no room")) == "no room"
    assert str(Failure("score a/b", blocked_by="generate a/b")) == "not run, since generate a/b failed"
    assert str(Failure("score a/b")) == "not run, since another step failed"
    assert Failure("score a/b", "no\n room").sentence == "score a/b failed: no room"
    long = Failure("score a/b", "x" * 301).sentence
    assert (long[:19], long[-2:], len(long)) == ("score a/b failed: x", "x…", len("score a/b failed: ") + 300)


def test_the_outcome_names_steps_that_failed_and_counts_the_others() -> None:
    plan = expand(load("abacus", ["train=[abacus/ledger]", "evaluate=[abacus/ledger]", "seeds=[0]"]))
    failed = Failure("generate self/abacus/ledger", "the engine\n has died")
    (cell,) = [cell for cell in plan.cells if cell.trained and cell.arm == "self"]
    outcome = Outcome(
        plan,
        failed={
            failed.step: failed,
            "verify self/abacus/ledger": Failure("verify self/abacus/ledger", blocked_by=failed.step),
        },
        missing={cell: failed},
    )
    assert outcome.lines() == [
        "generate self/abacus/ledger: the engine has died (cell self/abacus/ledger seed 0 on abacus/ledger)"
    ]
    first = f"2 of {len(plan.nodes)} steps, 1 of {len(plan.cells)} cells are missing."
    assert outcome.message().splitlines()[:2] == [first, outcome.lines()[0]]
    assert outcome.state().is_failed()
