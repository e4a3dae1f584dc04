"""Counts as a sentence needs them."""


def count(number: float, noun: str, one: str = "", more: str = "") -> str:
    """Return a number with its noun, and with the verb that goes with it: ``1 probe was``, ``3 probes were``.

    ``one`` and ``more`` are the verb for one and for any other number; without ``more``, ``one`` stands for both.
    """
    single = number == 1
    verb = one if single or not more else more
    return f"{number:.15g} {noun}{'' if single else 's'}" + (f" {verb}" if verb else "")
