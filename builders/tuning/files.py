"""Files at Together: a file is there once, by its content, and is used only after the service has checked it."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

from builders.tuning.api import Api
from builders.tuning.data import File
from builders.tuning.wire import Nothing, StoredFile
from pytest_repoagent.errors import ProviderError, UsageError

PATIENCE_S = 3600.0
POLL_S = 1.0


def put(api: Api, file: File, say: Callable[[str], None]) -> str:
    """The file's id at the service, which has the content and has found nothing wrong with it.

    Raises:
        UsageError: the service finds the file invalid, or the request wrong.
        ProviderError: it could not be uploaded, or was not checked within an hour.
    """
    file_id, there = api.upload(file.path)
    say(f"{file.path.name}: {'already there' if there else 'uploaded'} as {file_id}")
    stored = _retrieve(api, file_id)
    if there and stored.processing_status in (None, "pending"):  # an earlier upload was cut off before it asked
        api.ask(lambda client: client.post(f"/v1/files/{file_id}/preprocess", cast_to=_response()), Nothing)
    return _checked(api, stored, file, say)


def _checked(api: Api, stored: StoredFile, file: File, say: Callable[[str], None]) -> str:
    deadline = monotonic() + PATIENCE_S
    while stored.processing_status not in ("completed", "failed", "invalid_format"):
        if monotonic() > deadline:
            raise ProviderError(
                f"Together has not checked {stored.id} ({file.path.name}) for an hour; run the same command later, "
                "the file is not uploaded again"
            )
        sleep(POLL_S)
        stored = _retrieve(api, stored.id)
    report = stored.validation_report
    if stored.processing_status != "completed" or (report and not report.valid):
        why = (report and report.error) or f"its status is {stored.processing_status}"
        raise UsageError(f"Together refuses {file.path} ({stored.id}): {why}")
    if report:
        if report.nlines is not None and report.nlines != file.rows:
            raise UsageError(
                f"Together read {report.nlines:,} rows of the {file.rows:,} in {file.path} ({stored.id}); nothing was "
                "submitted: build the file again"
            )
        say(f"{file.path.name}: checked by Together: {report.dataset_format}, {report.nlines or file.rows:,} rows")
    return stored.id


def _retrieve(api: Api, file_id: str) -> StoredFile:
    return api.ask(lambda client: client.files.with_raw_response.retrieve(file_id).http_response, StoredFile)


def _response() -> type:
    from httpx import Response

    return Response
