def caesar_shift(text, shift):
    """Move each ASCII letter of text so many places on in the alphabet, around its end; case and the rest stay.

    >>> caesar_shift("Xyz, abc!", 3)
    'Abc, def!'
    """
    shifted = []
    for char in text:
        if char.isascii() and char.isalpha():
            base = ord("a") if char.islower() else ord("A")
            char = chr((ord(char) - shift + base) % 26 + base)
        shifted.append(char)
    return "".join(shifted)
