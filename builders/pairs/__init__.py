"""Preference pairs: made, linted, chosen.

Where each construction lives: ``at_state`` makes ``same_state``, ``student_best_worst`` and ``corruption`` (spoiled by
``corruptions``), ``contrast`` makes ``rollouts``. A reply's points come from the ``rubric``, and from a ``trial`` where
it is run. ``lint`` says what is wrong with a pair, ``lot`` keeps the good ones, ``mixing`` chooses among them, and
``pairing`` is the whole way from the store to a plan.
"""
