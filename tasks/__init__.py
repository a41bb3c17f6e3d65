"""Stages, one file each: the chain from questions to report. Rooms beside them hold what stages are made of.

    questions       questions, leak, leak_free, first_questions, answerable
      posed           examples, pose, majority; pose_in_rounds, filter_responses, self_consistency, balance_labels
    responses       generate (or an origin), verify, score, step_values
      feedback        judged_drafts, human_share, annotate
    training rows   select, training_rows, predict, read_again
    adapter         finetune, attest
    verdict         generate, evaluate, compare, report

Imports go one way: resources <- storage, fork_server <- models <- engine <- pipeline <- other rooms <- stages <-
origins.
"""
