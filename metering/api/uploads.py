"""Files of events over HTTP: handed in, read by the workers, watched."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from aforo.http.bodies import body_chunks, body_stream
from aforo.http.documentation import problems
from aforo.kernel.errors import Problem
from aforo.kernel.texts import storable

from ..compression import decompressed
from ..file_reading import FILE_BYTES_MAX, FORM_OF_ENDING, FORMS
from ..models import Upload
from ..schemas import UploadSerializer, UploadsQuery
from ..selectors.uploads import upload_for, uploads_for
from ..services.uploads import upload_admit, upload_create, upload_refuse
from ..upload_files import NewFile
from .ingest import SCOPE

MULTIPART = "multipart/form-data"
NAME_LENGTH_MAX = 255
# Media types, to what the file is.
FORM_OF_TYPE = {
    "text/csv": "csv",
    "application/csv": "csv",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/json": "json",
}

_TRUE = frozenset({"true", "1", "yes", "on", ""})
_UPLOAD = {
    "id": "0195a3c2-7f2a-7c4b-9d1e-3b5f7a9c1d2e",
    "status": "READING",
    "file_name": "march.csv",
    "format": "csv",
    "bytes": 20971520,
    "bytes_read": 8388608,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "rows": 91000,
    "accepted": 90990,
    "duplicates": 8,
    "rejected": 2,
    "held": 0,
    "error": "",
    "created_at": "2026-03-15T12:00:00Z",
    "finished_at": None,
}
_ANSWER = OpenApiExample("under way", value=_UPLOAD, response_only=True)


class UploadView(GenericAPIView):
    scopes: ClassVar = {"POST": SCOPE}
    queryset = Upload.objects.none()
    serializer_class = UploadSerializer

    @extend_schema(
        tags=["events"],
        summary="Upload a file of events",
        description=(
            "CSV, NDJSON or JSON of up to 50 MB, as the body or as the part `file` of a form. 202 means that the file is on "
            "disk; workers read it, and its address tells how far they are. A row without a key gets one of the file's "
            "hash and its line, so that the same file counts once; a row that is wrong is a dead letter with its line."
        ),
        parameters=[
            OpenApiParameter(
                "file_format", str, enum=sorted(FORMS), description="Where neither type nor name says it."
            ),
            OpenApiParameter("file_name", str, description="Of a file that is the body."),
            OpenApiParameter("strict", bool, description="Refuse defaults, as POST /v1/events does."),
            OpenApiParameter(
                "X-Aforo-Source", str, OpenApiParameter.HEADER, description="`upload` if left out."
            ),
            OpenApiParameter(
                "Content-Encoding", str, OpenApiParameter.HEADER, enum=["gzip", "zstd", "lz4", "identity"]
            ),
            OpenApiParameter(
                "Location", str, OpenApiParameter.HEADER, response=[202], description="Where its progress is."
            ),
        ],
        request={
            "text/csv": OpenApiTypes.STR,
            "application/x-ndjson": OpenApiTypes.STR,
            "application/json": OpenApiTypes.OBJECT,
            MULTIPART: {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
                "required": ["file"],
            },
        },
        responses={
            202: UploadSerializer,
            **problems(
                "batch_empty",
                "body_too_large",
                "body_unreadable",
                "encoding_broken",
                "encoding_unsupported",
                "media_type_unsupported",
                "storage_unavailable",
            ),
        },
        examples=[OpenApiExample("received", value={**_UPLOAD, "status": "WAITING"}, response_only=True)],
    )
    def post(self, request: Request) -> Response:
        holder = request.user
        upload_admit(tenant=holder.tenant)
        file = NewFile()
        try:
            name, form = _received(request, file)
            upload = upload_create(
                tenant=holder.tenant,
                api_key_id=holder.key_id,
                file=file,
                form=form,
                file_name=name,
                source=request.headers.get("X-Aforo-Source"),
                is_strict=request.query_params.get("strict", "false").lower() in _TRUE,
            )
        except Problem as problem:
            file.discard()
            if problem.code != "storage_unavailable":
                upload_refuse(tenant=holder.tenant, api_key_id=holder.key_id, file=file, problem=problem)
            raise
        except BaseException:
            file.discard()
            raise
        file.close()
        address = reverse("upload", kwargs={"upload_id": upload.pk})
        return Response(UploadSerializer(upload).data, status=202, headers={"Location": address})


def _received(request: Request, file: NewFile) -> tuple[str, str]:
    """Write the request's file; returns its name and form. Raises Problem."""
    asked = request.query_params.get("file_format")
    if asked is not None and asked not in FORMS:
        raise Problem("media_type_unsupported", f"The format {asked[:64]!r} is not read; {_known()} are.")
    kind = _media_type(request.content_type)
    if kind == MULTIPART:
        part = _part_written(request, file)
        name, kind = part.name, _media_type(part.kind)
    else:
        name = request.query_params.get("file_name", "")
        for piece in decompressed(
            body_chunks(request.META), request.headers.get("Content-Encoding"), FILE_BYTES_MAX
        ):
            file.write(piece)
    name = str(storable(name))[:NAME_LENGTH_MAX]
    form = asked or FORM_OF_TYPE.get(kind) or FORM_OF_ENDING.get(name.rpartition(".")[2].lower())
    if form is None:
        raise Problem(
            "media_type_unsupported", f"The media type {kind[:64]!r} is no file of events; {_known()} are."
        )
    return name, form


def _media_type(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def _known() -> str:
    return ", ".join(sorted(FORMS))


class _Part(FileUploadHandler):
    """Writes the part `file` of a form as it comes. name, kind: as its sender calls it; "" where it did not."""

    def __init__(self, file: NewFile) -> None:
        super().__init__()
        self._file = file
        self._is_ours = False
        self.is_found = False
        self.name = self.kind = ""

    def new_file(self, field_name: str, file_name: str, content_type: str, *args: Any, **kwargs: Any) -> None:
        super().new_file(field_name, file_name, content_type, *args, **kwargs)
        self._is_ours = field_name == "file" and not self.is_found
        if self._is_ours:
            self.is_found, self.name, self.kind = True, file_name or "", content_type or ""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if self._is_ours:
            self._file.write(raw_data)

    def file_complete(self, file_size: int) -> None:
        return None


class _Tail:
    """A stream that remembers how it ended: the parser takes a form that broke off for one that did not."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.length = 0
        self.end = b""

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self.length += len(piece)
        self.end = (self.end + piece)[-512:]
        return piece


def _part_written(request: Request, file: NewFile) -> _Part:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Problem(
            "encoding_unsupported", "A form is not compressed; compress the file as a body of its own."
        )
    stream, declared = body_stream(request.META)
    tail, part = _Tail(stream), _Part(file)
    # The parser reads nothing where it is told no length, which a form in chunks has none of.
    meta = {**request.META, "CONTENT_LENGTH": str(declared or 2 * FILE_BYTES_MAX)}
    try:
        MultiPartParser(meta, tail, [part], "utf-8").parse()
    except (MultiPartParserError, SuspiciousOperation) as error:
        raise Problem("body_unreadable", f"The form cannot be read: {error}.") from None
    if b"--" not in tail.end.rstrip(b"\r\n")[-2:] or (declared is not None and tail.length < declared):
        raise Problem(
            "body_unreadable", f"The form ended after {tail.length:,} bytes, before its last boundary."
        )
    if not part.is_found:
        raise Problem("body_unreadable", "The form has no part `file`.")
    return part


class UploadsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = Upload.objects.none()
    serializer_class = UploadSerializer
    # Their ids are made in the order of time.
    page_ordering = ("-pk",)

    @extend_schema(
        tags=["events"],
        summary="List uploads, the latest first",
        parameters=[UploadsQuery],
        responses={200: UploadSerializer(many=True), **problems("input_invalid")},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(uploads_for(request.user.tenant, **UploadsQuery.filters(request)))
        return self.get_paginated_response(UploadSerializer(page, many=True).data)


class UploadProgressView(GenericAPIView):
    scopes: ClassVar = {"GET": "read"}
    queryset = Upload.objects.none()
    serializer_class = UploadSerializer

    @extend_schema(
        tags=["events"],
        summary="How far an upload is",
        responses={200: UploadSerializer, **problems("not_found")},
        examples=[_ANSWER],
    )
    def get(self, request: Request, upload_id: UUID) -> Response:
        return Response(UploadSerializer(upload_for(request.user.tenant, upload_id)).data)
