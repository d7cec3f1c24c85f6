"""How amounts are spelled."""


def usd(amount: float) -> str:
    """US dollars, to the cent, or to a hundredth of one below a dollar."""
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"
