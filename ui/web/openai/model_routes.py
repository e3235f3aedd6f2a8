"""GET /v1/models: the libraries as models to choose from; POST /v1/embeddings: the library's dense encoder."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from rag.errors import LibraryError, UsageError
from ui.web.api.problems import AllLibraries, InLibrary, Who
from ui.web.openai.openai_errors import OpenAIRoute
from ui.web.openai.protocol import MODEL, LenientBody
from ui.wording import printable

MOST_TEXTS, LONGEST = 256, 20_000  # of one request, and characters of each
Json = dict[str, Any]
Text = Annotated[str, Field(min_length=1, max_length=LONGEST)]
routes = APIRouter(route_class=OpenAIRoute)


class EmbeddingsRequest(LenientBody):
    model: str = Field("", max_length=200)
    input: Text | list[Text] = Field(min_length=1)
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None


@routes.get("/models")
def models(libraries: AllLibraries, library: InLibrary, who: Who) -> Json:
    """Each library as a model: "glossator" is the one that the server began with, "glossator/NAME" another one."""
    names = [(f"{MODEL}/{each.name}" if each.name else MODEL, each.title) for each in libraries.listed(who)]
    listed = [_model(*name) for name in names]
    encoder = library.indexes.settings.dense.model
    return {"object": "list", "data": [*listed, _model(encoder, encoder)]}


@routes.get("/models/{model:path}")
def model(model: str, libraries: AllLibraries, library: InLibrary, who: Who) -> Json:
    found = next((each for each in models(libraries, library, who)["data"] if each["id"] == model), None)
    if found is None:
        raise LibraryError(f"model {model[:80]}: there is none of this name. See /v1/models")
    return dict(found)


def _model(name: str, title: str) -> Json:
    return {"id": name, "object": "model", "created": 0, "owned_by": MODEL, "name": printable(title)}


@routes.post("/embeddings")
async def embeddings(body: EmbeddingsRequest, library: InLibrary) -> JSONResponse:
    """Unit vectors of texts by the encoder that the library is searched with; long texts are cut as passages are.

    `usage` counts words: the encoders do not say how many tokens they read.
    """
    texts = [body.input] if isinstance(body.input, str) else body.input
    if len(texts) > MOST_TEXTS:
        raise UsageError(f"input: {len(texts)} texts, at most {MOST_TEXTS} are read at a time")
    indexes = library.indexes
    name = indexes.settings.dense.model
    if body.model not in ("", name):
        raise UsageError(f"model {body.model}: texts are encoded by {name} here")
    vectors = await asyncio.to_thread(lambda: indexes.encoder().encode(texts))
    if body.dimensions not in (None, vectors.shape[1]):
        raise UsageError(f"dimensions: {name} has {vectors.shape[1]}. Leave it out")

    def written(row: np.ndarray[Any, Any]) -> str | list[float]:
        if body.encoding_format == "base64":
            return base64.b64encode(row.astype("<f4").tobytes()).decode()
        return [float(value) for value in row]

    data = [{"object": "embedding", "index": n, "embedding": written(row)} for n, row in enumerate(vectors)]
    words = sum(len(text.split()) for text in texts)
    counted = {"prompt_tokens": words, "total_tokens": words}
    return JSONResponse({"object": "list", "data": data, "model": name, "usage": counted})
