"""New one-line bugs, made from corrected programs and proven by their tests."""
