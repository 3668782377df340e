import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import RequestFactory

from adminlog.requests import Origin, address_of, current, origin_middleware


def served(**headers: str) -> tuple[Origin | None, HttpResponse]:
    """What was known of a request while it was served, and the answer."""
    known = []

    def view(request):
        known.append(current())
        return HttpResponse()

    answer = origin_middleware(view)(RequestFactory().get("/", **headers))
    return known[0], answer


def test_a_request_has_an_id_which_the_answer_bears():
    origin, answer = served()
    assert answer.headers["X-Request-ID"] == str(origin.request_id)
    assert isinstance(origin.request_id, uuid.UUID)
    assert served()[0].request_id != origin.request_id


def test_nothing_is_served_outside_of_a_request():
    served()
    assert current() is None


def test_a_request_that_fails_is_over_too():
    def view(request):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        origin_middleware(view)(RequestFactory().get("/"))
    assert current() is None


@pytest.mark.parametrize(
    ("production", "headers", "address"),
    [
        (False, {}, "10.0.0.1"),
        (True, {}, "10.0.0.1"),
        (True, {"HTTP_X_FORWARDED_FOR": "203.0.113.7"}, "203.0.113.7"),
        (True, {"HTTP_X_FORWARDED_FOR": "what the client claims, 203.0.113.7"}, "203.0.113.7"),
        (True, {"HTTP_X_FORWARDED_FOR": "2001:db8::1"}, "2001:db8::1"),
        (False, {"HTTP_X_FORWARDED_FOR": "203.0.113.7"}, "10.0.0.1"),
        (True, {"HTTP_X_FORWARDED_FOR": "203.0.113.7, nonsense"}, None),
        (True, {"HTTP_X_FORWARDED_FOR": "203.0.113.7, "}, None),
        (False, {"REMOTE_ADDR": ""}, None),
    ],
)
def test_the_address_is_the_proxys_word_in_production_and_the_connections_else(settings, production, headers, address):
    settings.PRODUCTION = production
    request = RequestFactory().get("/", **({"REMOTE_ADDR": "10.0.0.1"} | headers))
    assert address_of(request) == address


# What is refused before anything is read.


def test_an_address_that_is_too_long_is_refused(client):
    answer = client.get("/admin/", {"q": "x" * 16_000})
    assert (answer.status_code, answer.content) == (414, b"This address is too long. Look for fewer words.")


@pytest.mark.parametrize("length", ["x", "-1", "²"])
def test_a_length_that_is_none_is_refused(client, length):
    assert client.generic("POST", "/admin/login/", b"x", CONTENT_LENGTH=length).status_code == 400


@pytest.mark.django_db
def test_no_page_takes_a_file(anna, monkeypatch):
    def laid_down(*args, **kwargs):
        raise AssertionError("it was laid on the disk")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", laid_down)
    file = SimpleUploadedFile("x.txt", b"x" * 500_000)
    for address in ("/admin/login/", "/admin/preferences/", "/admin/core/contractor/"):
        assert anna.post(address, {"language": "ru", "f": file}).status_code == 400
    assert anna.post("/admin/preferences/", {"language": "ru", "f": ""}).status_code == 302
