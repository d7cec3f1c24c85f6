def runoff_winner(ballots):
    """Elect a candidate by instant runoff.

    Candidates have one letter, and every ballot ranks all of them, best first. A ballot counts for the best
    candidate on it who still stands. Whoever has more than half of the ballots wins; until then the candidate with
    the fewest drops out, of several the first in the alphabet.

    >>> runoff_winner(["abc", "abc", "bca", "cba", "cba"])
    'c'
    """
    standing = sorted(ballots[0])
    while True:
        votes = dict.fromkeys(standing, 0)
        for ballot in ballots:
            favourite = next(name for name in ballot if name in votes)
            votes[favourite] += 1
        leader = max(standing, key=votes.get)
        if 2 * votes[leader] > len(ballots) or len(standing) == 1:
            return leader
        weakest = min(standing, key=votes.get)
        standing.remove(weakest)
