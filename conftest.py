"""The project's own root conftest: minibugs' programs and tests are data, not tests of this project."""

collect_ignore = ["eval/minibugs"]
