"""Hostile programs, a range to try them on, and what each level of the sandbox lets through.

``payload`` says what an attack is; ``reads`` to ``channel`` are the attacks; ``world`` is what they aim at; ``driver``
is the process that runs the runner; ``range`` tries a payload at a level and looks at the damage from outside.
"""
