"""`/login` and `/logout`: a visitor's token, which their browser keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from pulpo.ui.api_client import Api, ApiProblem
from pulpo.ui.page import COOKIE, page, root_of, see_other

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_UNAUTHORISED: Final = 401


async def login(request: Request) -> Response:
    """Ask for a token, try it, and let the browser keep it for as long as it is open."""
    if request.method == "GET":
        return page(request, "login.html", next=_own(request.query_params.get("next", "/")), problem=None)
    form = await request.form()
    token, back = str(form.get("token", "")).strip(), _own(str(form.get("next", "/")))
    try:
        if not token.isascii() or not token.isprintable():
            raise ApiProblem(_UNAUTHORISED, "a token is ASCII without blanks")  # noqa: TRY301 - refused as the API's no
        await Api(request.app.state.client, token).get("operations")
    except ApiProblem as problem:
        return page(request, "login.html", problem.status, next=back, problem=problem)
    response = see_other(request, back)
    secure = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, path=root_of(request) or "/")
    return response


async def logout(request: Request) -> Response:
    """Forget the token."""
    response = see_other(request, "/login")
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", path=root_of(request) or "/")
    return response


def _own(path: str) -> str:
    """A path of the UI itself: an address of somebody else's is none."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


ROUTES: Final = (Route("/login", login, methods=["GET", "POST"]), Route("/logout", logout, methods=["POST"]))
