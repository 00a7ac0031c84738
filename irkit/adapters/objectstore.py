"""A bucket with the S3 protocol, by the `minio` client (extra ``irkit[s3]``), which is imported when it is first used.

Nothing is overwritten: every write is conditional (``If-None-Match: *``), as far as the store knows that. What it took is
checked by the MD5s that it answers, where its ETags are such. Keys are read from files or the environment, and shown nowhere.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from irkit.adapters import proxies
from irkit.adapters.access import Endpoint
from irkit.errors import ApiError, ConflictError, ForbiddenError, IrkitError, NotFoundError, UnreachableError, UsageError
from irkit.ports.store import Deposit, Stream
from irkit.settings.store import StoreSettings
from irkit.text import printable

if TYPE_CHECKING:
    from minio import Minio

T = TypeVar("T")
_PART = 16 << 20  # octets; a multiple of it where 10,000 parts would not do
_FORBIDDEN = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
              "AllAccessDisabled", "AccountProblem", "RequestTimeTooSkewed", "XAdminUserNotFound"}  # the last: versitygw's # fmt: skip
_MISSING = {"NoSuchKey", "NoSuchVersion", "ResourceNotFound"}


def chosen(settings: StoreSettings | None, to: str) -> StoreSettings:
    """The settings' store, or ``to`` at its endpoint. Raises UsageError."""
    if not to:
        if settings is None:
            raise UsageError("the settings have no store", next="irkit bundle push --to s3://BUCKET/PREFIX, or the section store of the settings")
        return settings
    scheme, _, rest = to.partition("://")
    bucket, _, prefix = rest.partition("/")
    base = msgspec.structs.asdict(settings) if settings else {}
    if scheme != "s3":
        raise UsageError(f"a place in an object store is s3://BUCKET/PREFIX, not {printable(to, 200)}")
    try:
        return StoreSettings(**{**base, "bucket": bucket, "prefix": prefix.rstrip("/")})
    except ValueError as error:
        raise UsageError(printable(error, 300)) from None


class Bucket:
    """Implements `ports.ObjectStore`. Connects with the first request."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._client: Minio | None = None
        self._once: list[bool] = [False]
        self._prefix = f"{settings.prefix.strip('/')}/" if settings.prefix.strip("/") else ""

    def url(self, key: str) -> str:
        return f"s3://{self._settings.bucket}/{self._prefix}{key}"

    def head(self, key: str) -> Deposit | None:
        try:
            found = self._ask(lambda client: client.stat_object(self._settings.bucket, self._prefix + key))
        except NotFoundError:
            return None
        if not found.etag:
            raise UnreachableError(f"{printable(urlsplit(self._settings.endpoint).hostname, 200)} does not answer as an object store")
        return Deposit(int(found.size or 0), str(found.etag), str(found.version_id or ""))

    def put(self, key: str, stream: Stream, octets: int, about: Mapping[str, str], keep: tuple[str, datetime] | None) -> Deposit:
        from minio.retention import Retention

        part = _PART * -(-octets // (_PART * 10_000)) if octets else _PART
        sums = _Sums(stream, part)
        retention = Retention(keep[0].upper(), keep[1]) if keep else None
        self._once[0] = True
        try:
            done = self._ask(lambda client: client.put_object(
                self._settings.bucket, self._prefix + key, sums, octets, content_type="application/x-tar", metadata=dict(about),  # type: ignore[arg-type]
                part_size=part, num_parallel_uploads=2, retention=retention))  # fmt: skip
        finally:
            self._once[0] = False
        tag = str(done.etag or "").strip('"')
        return Deposit(octets, tag, str(done.version_id or ""), verified=tag == sums.tag)

    @contextmanager
    def get(self, key: str) -> Iterator[Stream]:
        answer = self._ask(lambda client: client.get_object(self._settings.bucket, self._prefix + key))
        try:
            yield _Body(answer, self._explained)
        finally:
            answer.close()
            answer.release_conn()

    def _ask(self, request: Callable[[Minio], T]) -> T:
        self._client = self._client or _connected(self._settings, self._once)
        try:
            return request(self._client)
        except IrkitError:
            raise
        except Exception as error:  # noqa: BLE001 -- minio's and urllib3's errors have no base of their own
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> IrkitError:
        """Our own error for one of minio's or urllib3's. Of an answer's body only its code is told."""
        from minio.error import InvalidResponseError, S3Error, ServerError
        from urllib3.exceptions import HTTPError

        host = printable(urlsplit(self._settings.endpoint).hostname, 200)
        if isinstance(error, S3Error):
            return self._refused(str(error.code), error.response.status, host)
        if isinstance(error, ServerError | InvalidResponseError):
            return UnreachableError(f"{host} does not answer as an object store")
        if isinstance(error, HTTPError | OSError):
            return UnreachableError(f"{host}: {_reason(error)}")
        if isinstance(error, ValueError):  # what minio says of a bucket's or an object's name; and of missing credentials
            return UsageError(f"{host}: {printable(error, 200)}")
        return ApiError(f"{host}: {type(error).__name__}", status=0)

    def _refused(self, code: str, status: int, host: str) -> IrkitError:
        where, code = f"bucket {self._settings.bucket} at {host}", printable(code, 60)
        if code == "NoSuchBucket":
            return UsageError(f"there is no {where}", next="make the bucket, with object lock where bags are to be kept")
        if code in _MISSING or (status == 404 and code not in _FORBIDDEN):
            return NotFoundError(f"{where} has no such object", status=404)
        if code in _FORBIDDEN or status in (401, 403):
            return ForbiddenError(f"{where} refuses it ({code})", next="the policy that this needs is in docs/reference/bundle.md")
        if status in (409, 412):
            return ConflictError(f"{where} has such an object already ({code})", status=status)
        if status >= 500 or code in ("SlowDown", "ServiceUnavailable"):
            return UnreachableError(f"{where} can't take it now ({code})")
        return ApiError(f"{where} does not take it ({code})", status=status)


class _Sums:
    """A stream that knows the ETag of what was read from it: an MD5, or that of the parts' MD5s."""

    def __init__(self, stream: Stream, part: int) -> None:
        self._stream, self._part = stream, part
        self._done: list[bytes] = []
        self._open = hashlib.md5(usedforsecurity=False)
        self._room = part

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size) or b""
        view = memoryview(data)
        while view:
            if not self._room:
                self._done.append(self._open.digest())
                self._open, self._room = hashlib.md5(usedforsecurity=False), self._part
            self._open.update(view[: self._room])
            taken = min(len(view), self._room)
            self._room -= taken
            view = view[taken:]
        return data

    @property
    def tag(self) -> str:
        parts = [*self._done, self._open.digest()]
        if len(parts) == 1:
            return parts[0].hex()
        return f"{hashlib.md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"


class _Body:
    """An answer's body whose errors are ours."""

    def __init__(self, answer: Any, explained: Callable[[Exception], IrkitError]) -> None:
        self._answer, self._explained = answer, explained

    def read(self, size: int = -1) -> bytes:
        try:
            data: bytes = self._answer.read(size if size >= 0 else None)
        except Exception as error:  # noqa: BLE001 -- as above
            raise self._explained(error) from None
        return data


def _connected(settings: StoreSettings, once: list[bool]) -> Minio:
    try:
        from minio import Minio
    except ImportError:
        raise UsageError("the client of object stores is not installed", next="pip install 'irkit[s3]'") from None
    parts = urlsplit(settings.endpoint)
    client = Minio(parts.netloc, secure=parts.scheme == "https", region=settings.region, credentials=_credentials(settings),
                   http_client=_pool(settings, once))  # fmt: skip
    from irkit import __version__

    client.set_app_info("irkit", __version__)
    return client


def _pool(settings: StoreSettings, once: list[bool]) -> Any:
    import urllib3
    from urllib3.util import Retry, Timeout

    class Conditional:
        """Writes of whole objects say that there must be none yet; parts of one do not."""

        def urlopen(self, method: str, url: str, redirect: bool = True, **more: Any) -> Any:
            if once[0] and ((method == "PUT" and "partNumber=" not in url) or (method == "POST" and "uploadId=" in url)):
                more["headers"] = {**dict(more.get("headers") or {}), "If-None-Match": "*"}
            return super().urlopen(method, url, redirect=False, **more)  # type: ignore[misc]

    parts = urlsplit(settings.endpoint)
    tls = parts.scheme == "https"
    proxy = proxies.from_environment(Endpoint(host=parts.hostname or "", port=parts.port or (443 if tls else 80), tls=tls), os.environ)
    if settings.ca_file and not settings.ca_file.expanduser().is_file():
        raise UsageError(f"store.ca-file: {printable(settings.ca_file)} can't be read")
    options: dict[str, Any] = {
        "timeout": Timeout(connect=min(settings.timeout, 10.0), read=settings.timeout), "maxsize": 4, "cert_reqs": "CERT_REQUIRED",
        "ca_certs": str(settings.ca_file.expanduser()) if settings.ca_file else None,
        "retries": Retry(total=3, connect=2, read=2, redirect=0, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504], allowed_methods=None),
    }  # fmt: skip
    if proxy:
        return type("Pool", (Conditional, urllib3.ProxyManager), {})(proxy, **options)
    return type("Pool", (Conditional, urllib3.PoolManager), {})(**options)


def _credentials(settings: StoreSettings) -> Any:
    """From the settings' files, else as AWS's tools find them; the metadata service of a machine is not asked. Raises UsageError."""
    from minio.credentials.providers import AWSConfigProvider, ChainedProvider, EnvAWSProvider, IamAwsProvider, StaticProvider

    if settings.access_key_file and settings.secret_key_file:
        token = _read(settings.session_token_file) if settings.session_token_file else None
        return StaticProvider(_read(settings.access_key_file), _read(settings.secret_key_file), token)
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return EnvAWSProvider()
    if os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return IamAwsProvider()
    file = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    if not file.is_file():
        raise UsageError("there is no key for the object store", next="store.access-key-file and secret-key-file, or AWS_ACCESS_KEY_ID")
    return ChainedProvider([AWSConfigProvider(str(file))])


def _read(file: Path) -> str:
    try:
        return file.expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"the store's key can't be read from {printable(file)}") from None


def _reason(error: Exception) -> str:
    """What went wrong below, without what the other side said."""
    import ssl

    from urllib3.exceptions import NewConnectionError, SSLError
    from urllib3.exceptions import TimeoutError as Late

    inner = getattr(error, "reason", None) or error
    if isinstance(inner, SSLError | ssl.SSLError):
        return "its certificate is not trusted" if "CERTIFICATE_VERIFY_FAILED" in str(inner) else "TLS failed"
    if isinstance(inner, NewConnectionError):
        return "no connection"
    if isinstance(inner, Late | TimeoutError):
        return "no answer in time"
    return type(inner).__name__
