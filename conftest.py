"""The bundled bugs are data: their tests are run by the driver, on what a model wrote, never collected by pytest.

In a wheel this file lies beside ``minibugs``, in a checkout above ``eval/minibugs``.
"""

collect_ignore = ["eval/minibugs", "minibugs"]
