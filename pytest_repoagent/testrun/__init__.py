"""Running a task's tests on code a model wrote. ``base`` is the interface; each runner is one module."""
