def longest_window(text, kinds):
    """Length of the longest stretch of text that holds at most so many different characters (one or more).

    >>> longest_window("abaccc", 2)
    4
    """
    counts = {}
    start = longest = 0
    for end, char in enumerate(text):
        counts[char] = counts.get(char, 0) + 1
        while len(counts) > kinds:
            counts[text[start]] -= 1
            if counts[text[start]] == 0:
                del counts[text[start]]
            start += 1
        longest = max(longest, end - start + 1)
    return longest
