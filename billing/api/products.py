"""Products over HTTP, named by their code."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.http.documentation import problems
from aforo.http.idempotency import IDEMPOTENCY_KEY, idempotent
from aforo.http.serializers import PageQuery, asked

from ..models import Product
from ..schemas.products import ProductChangeSerializer, ProductSerializer
from ..selectors.catalog import product_for, products_for
from ..services.catalog import product_create, product_update

_PRODUCT = {"code": "llm", "name": "Language models", "description": "", "tax_category": ""}
_ASKED = OpenApiExample("a product", value=_PRODUCT, request_only=True)
_ANSWER = OpenApiExample("a product", value=_PRODUCT, response_only=True)
_NOT_FOUND = "No product 'lmm'."


class ProductsView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "POST": "write"}
    queryset = Product.objects.none()
    serializer_class = ProductSerializer

    @extend_schema(
        tags=["catalog"],
        summary="List products",
        parameters=[PageQuery],
        responses={200: ProductSerializer(many=True), **problems("input_invalid")},
        examples=[_ANSWER],
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(products_for(request.user.tenant).filter(**PageQuery.filters(request)))
        return self.get_paginated_response(ProductSerializer(page, many=True).data)

    @extend_schema(
        tags=["catalog"],
        summary="Make a product",
        parameters=[IDEMPOTENCY_KEY],
        request=ProductSerializer,
        responses={
            201: ProductSerializer,
            **problems(
                "body_unreadable",
                "idempotency_reused",
                input_invalid="code: Start with a letter or digit; go on with letters, digits, '.', '_' or '-'.",
                already_exists="There is a product with the code 'llm' already.",
            ),
        },
        examples=[_ASKED, _ANSWER],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = product_create(tenant=request.user.tenant, **asked(ProductSerializer, request))
        return Response(ProductSerializer(made).data, status=201)


class ProductView(GenericAPIView):
    scopes: ClassVar = {"GET": "read", "PATCH": "write"}
    queryset = Product.objects.none()
    serializer_class = ProductSerializer

    @extend_schema(
        tags=["catalog"],
        summary="Read a product",
        responses={200: ProductSerializer, **problems(not_found=_NOT_FOUND)},
        examples=[_ANSWER],
    )
    def get(self, request: Request, code: str) -> Response:
        return Response(ProductSerializer(product_for(request.user.tenant, code)).data)

    @extend_schema(
        tags=["catalog"],
        summary="Change a product's name, description or tax category",
        request=ProductChangeSerializer,
        responses={
            200: ProductSerializer,
            **problems("body_unreadable", "input_invalid", not_found=_NOT_FOUND),
        },
        examples=[
            OpenApiExample("another name", value={"name": "Language models"}, request_only=True),
            _ANSWER,
        ],
    )
    def patch(self, request: Request, code: str) -> Response:
        changed = product_update(
            tenant=request.user.tenant, code=code, **asked(ProductChangeSerializer, request)
        )
        return Response(ProductSerializer(changed).data)
