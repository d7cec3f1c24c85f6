"""Calls to Together's API through its SDK: which of them are repeated, and what each failure means.

Errors are raised outside ``except`` blocks, so that no SDK exception, whose request holds the key, hangs on theirs.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from builders.progress import progress
from builders.tuning.wire import Nothing
from pytest_repoagent.errors import ModelConfigError, ProviderError, UsageError
from pytest_repoagent.models.chat import check_key, connect, without_key
from pytest_repoagent.models.retries import backoff_s
from pytest_repoagent.models.together import KEY_VARIABLE, account
from pytest_repoagent.models.wire import read_complaint, retry_after_s

if TYPE_CHECKING:
    import httpx
    from together import Together

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

ATTEMPTS = 5
TIMEOUT_S = 60.0
"""Seconds one answer may take."""


class Rejected(UsageError):
    """The service understood the request and refused it; asking again cannot help."""


class NotThere(Rejected):
    """What the request names is not there."""


class Unanswered(ProviderError):
    """No whole answer came, so nobody knows whether the request was carried out."""


@dataclass(frozen=True)
class _Failure:
    """Why there is no usable answer; ``unknown`` where the request may have been carried out all the same."""

    error: UsageError | ProviderError
    retry: bool
    unknown: bool = False
    after_s: float | None = None


class Api:
    """One account. Its key is in no text this makes."""

    def __init__(self) -> None:
        """Take key and address from the environment; nothing is sent.

        Raises:
            ModelConfigError: no key, or one that cannot be one, or an unusable ``TOGETHER_BASE_URL``.
        """
        key, base_url = account()
        check_key(key, KEY_VARIABLE)
        self._clean: Callable[[object], str] = lambda detail: without_key(detail, key)[:300]
        self._client = connect(key, base_url, TIMEOUT_S)
        weakref.finalize(self, self._client.close)

    def ask(self, send: Callable[[Together], httpx.Response], answer: type[M]) -> M:
        """Send what may be sent again: after 429, 5xx, a timeout or a broken reply it is, a few times.

        Raises:
            NotThere, Rejected, ModelConfigError: the service refused it, or the key.
            ProviderError: no usable answer came.
        """
        return _done(_persist(lambda: self._attempt(send, answer), lambda failure: failure.retry))

    def order(self, send: Callable[[Together], httpx.Response], answer: type[M]) -> M:
        """Send what must happen once: it is sent again only where the service cannot have begun with it.

        Raises:
            Unanswered: it may have happened.
            NotThere, Rejected, ModelConfigError, ProviderError: as :meth:`ask`; it did not happen.
        """
        return _done(
            _persist(lambda: self._attempt(send, answer), lambda failure: failure.retry and not failure.unknown)
        )

    def upload(self, path: Path) -> tuple[str, bool]:
        """The id of the file with the content of ``path``, and whether the service had it already.

        Raises:
            Rejected, ModelConfigError, ProviderError: as :meth:`ask`.
        """
        return _done(_persist(lambda: self._upload(path), lambda failure: failure.retry))

    def _upload(self, path: Path) -> tuple[str, bool] | _Failure:
        from together.lib.resources.files import FileAlreadyExistsError, FileUploadProgress

        with progress(f"uploading {path.name}", path.stat().st_size) as advance:
            sent = 0

            def show(now: FileUploadProgress) -> None:
                nonlocal sent
                advance(now.uploaded_bytes - sent)
                sent = now.uploaded_bytes

            def send() -> tuple[str, bool]:
                try:
                    stored = self._client.files.upload(
                        path, check=False, raise_if_already_exists=True, progress_callback=show
                    )
                except FileAlreadyExistsError as there:
                    return there.file_id, True
                return stored.id, False

            return self._guard(send)

    def _attempt(self, send: Callable[[Together], httpx.Response], answer: type[M]) -> M | _Failure:
        def call() -> M:
            response = send(self._client)
            return answer.model_validate({} if answer is Nothing else response.json())

        return self._guard(call)

    def _guard(self, call: Callable[[], T]) -> T | _Failure:
        """What ``call`` gives, or what its failure means."""
        import httpx
        from together import APIConnectionError, APIStatusError, TogetherError

        try:
            return call()
        except APIStatusError as error:
            return self._refused(error.response)
        except (APIConnectionError, httpx.HTTPError) as error:
            reason = error.__cause__ or error
            unsent = isinstance(reason, httpx.ConnectError | httpx.ConnectTimeout)
            said = f"Together cannot be reached: {self._clean(reason) or type(reason).__name__}"
            return _Failure(ProviderError(said), retry=True, unknown=not unsent)
        except (TogetherError, ValueError, KeyError, AssertionError, RecursionError) as error:  # the SDK lets all out
            said = f"Together gave an unusable answer: {self._clean(error)}"
            return _Failure(ProviderError(said), retry=True, unknown=True)

    def _refused(self, response: httpx.Response) -> _Failure:
        complaint, _ = read_complaint(response)
        request, status = response.request, response.status_code
        where = f"{request.method} {request.url.copy_with(query=None)}"  # a query may hold a storage's signature
        said = f"{where} answered {status}: {self._clean(complaint)}"
        match status:
            case 401 | 403:
                text = f"{said}; the key was rejected: check {KEY_VARIABLE}."
                return _Failure(ModelConfigError(text), retry=False)
            case 402:
                text = f"{said}; the account of {KEY_VARIABLE} cannot pay for it."
                return _Failure(ModelConfigError(text), retry=False)
            case 404:
                return _Failure(NotThere(said), retry=False)
            case 408 | 425 | 429:
                return _Failure(ProviderError(said), retry=True, after_s=retry_after_s(response))
            case _ if 400 <= status < 500:
                return _Failure(Rejected(said), retry=False)
        return _Failure(ProviderError(said), retry=True, unknown=True, after_s=retry_after_s(response))


def _persist(attempt: Callable[[], T | _Failure], again: Callable[[_Failure], bool]) -> T | _Failure:
    """Attempt until it works, must not be sent again, or was sent often enough."""
    answer = attempt()
    for retried in range(ATTEMPTS - 1):
        if not isinstance(answer, _Failure) or not again(answer):
            break
        sleep(backoff_s(retried) if answer.after_s is None else answer.after_s)
        answer = attempt()
    return answer


def _done(answer: T | _Failure) -> T:
    """The answer, else its failure as an error."""
    if not isinstance(answer, _Failure):
        return answer
    if answer.unknown:
        raise Unanswered(str(answer.error))
    raise answer.error
