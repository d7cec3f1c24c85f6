def keypad_words(digits):
    """List, in alphabetical order, what one may mean by typing digits on a telephone's keypad.

    The keys 2 to 9 stand for abc, def, ghi, jkl, mno, pqrs, tuv and wxyz. There is one way to type nothing, the
    empty word; and no word has a 0 or 1 in it.

    >>> keypad_words("27")
    ['ap', 'aq', 'ar', 'as', 'bp', 'bq', 'br', 'bs', 'cp', 'cq', 'cr', 'cs']
    """
    keys = {"2": "abc", "3": "def", "4": "ghi", "5": "jkl", "6": "mno", "7": "pqrs", "8": "tuv", "9": "wxyz"}
    words = []
    for digit in digits:
        words = [word + letter for word in words for letter in keys.get(digit, "")]
    return words
