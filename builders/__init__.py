"""Training data from the store of recorded rollouts: one example is one next action at one state.

``examples`` holds the types. ``selection`` chooses rollouts and steps in SQL, ``rollouts`` renders what was chosen in
one streaming pass, ``dataset`` writes a folder whole or not at all. ``pairs`` holds all that is particular to
preference pairs; ``branch`` asks a student for its side of them. Arrows run one way: builders -> store -> protocol.
"""
